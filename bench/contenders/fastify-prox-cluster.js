/** The plugin in several processes of `node:cluster`, which share a port and a CA. */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyProx from '../../dist/plugin/index.js'
import { cpuOf } from '../cpu.js'

const WORKER = fileURLToPath(new URL('fastify-prox-cluster-worker.js', import.meta.url))

/** @param {{ workers: number }} options */
export async function start ({ workers }) {
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-cluster-'))
  const file = join(directory, 'ca.pem')
  const { certificatePem } = await fastifyProx.CertificateAuthority.load({ file })
  cluster.setupPrimary({ exec: WORKER, args: [file], execArgv: [] })
  const processes = Array.from({ length: workers }, () => cluster.fork())
  const addresses = await Promise.all(processes.map((worker) => once(worker, 'listening')))
  process.on('exit', () => processes.forEach((worker) => worker.process.kill('SIGKILL')))
  const pids = [process.pid, ...processes.map(({ process }) => process.pid)]
  const cpu = () => pids.map(cpuOf).reduce((sum, time) => sum + time)
  return { port: addresses[0][0].port, ca: certificatePem, proxy: true, directory, cpu }
}
