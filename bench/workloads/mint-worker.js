/** Mints in a thread that does nothing else, so that the delay of its event loop is that of minting. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createSecureContext } from 'node:tls'
import { parentPort, workerData as hosts } from 'node:worker_threads'
import fastifyProx from '../../dist/plugin/index.js'
import { staticCertificate } from '../certificates.js'

const { CertificateAuthority } = fastifyProx

/** CPU time in milliseconds per host. The thread is the only one of the process that works. */
async function perHost (action) {
  const before = process.cpuUsage()
  await action()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / hosts
}

async function authority (keyType) {
  const ca = await CertificateAuthority.load({ store: new Map(), keyType, cacheSize: 2 * hosts + 100 })
  for (let i = 0; i < 100; i++) await ca.secureContext(`www.early-${i}.example`)
  const serial = await perHost(async () => {
    for (let i = 0; i < hosts; i++) await ca.secureContext(`www.serial-${i}.example`)
  })
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const crowd = Array.from({ length: hosts }, (_, i) => `www.crowd-${i}.example`)
  const cpu = await perHost(() => Promise.all(crowd.map((host) => ca.secureContext(host))))
  delay.disable()
  return { serial, crowd: { cpu, delay: { max: delay.max / 1e6, p99: delay.percentile(99) / 1e6 } } }
}

const { key, cert } = await staticCertificate()
for (let i = 0; i < 100; i++) createSecureContext({ key, cert })
const context = await perHost(async () => { for (let i = 0; i < hosts; i++) createSecureContext({ key, cert }) })

parentPort.postMessage([
  { label: 'tls.createSecureContext alone', serial: context },
  { label: 'fastify-prox, P-256 CA', ...await authority('ec') },
  { label: 'fastify-prox, RSA CA', ...await authority('rsa') }
])
