/** What it costs to make a certificate for a new host, and what others wait meanwhile. */
import { end, openTls } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import { Contender } from '../contender.js'
import { Worker } from 'node:worker_threads'

const HOSTS = 1_000

export const mint = {
  name: 'mint',
  title: `A certificate and its secure context: ${HOSTS} new hosts`,
  columns: [
    ['one after the other: CPU, ms a host', ({ serial }) => serial.toFixed(2)],
    ['all at once: CPU, ms a host', ({ crowd }) => crowd?.cpu.toFixed(2) ?? '-'],
    ['event loop held up, ms: longest', ({ crowd }) => crowd?.delay.max.toFixed(1) ?? '-'],
    ['99 %', ({ crowd }) => crowd?.delay.p99.toFixed(1) ?? '-']
  ],
  async measure () {
    const worker = new Worker(new URL('mint-worker.js', import.meta.url), { workerData: HOSTS })
    return await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  }
}

/** All tunnels are asked for in the same moment. */
async function crowd (module, execArgv) {
  const contender = await Contender.start(module, { https: true }, execArgv)
  try {
    for (let i = 0; i < 100; i++) await visit(contender, `www.early-${i}.example`)
    await contender.watchDelay()
    const cpu = await contender.cpu()
    const begin = performance.now()
    await Promise.all(Array.from({ length: HOSTS }, (_, i) => visit(contender, `www.crowd-${i}.example`)))
    const seconds = (performance.now() - begin) / 1000
    return { label: module, seconds, cpu: (await contender.cpu() - cpu) / HOSTS / 1000, delay: await contender.delay() }
  } finally {
    await contender.stop()
  }
}

async function visit (contender, host) {
  const socket = await openTls(contender, contender.proxy ? { host } : {})
  await http1.repeat(socket, http1.GET, 0)
  await end(socket)
}

export const mintCrowd = {
  name: 'mint-crowd',
  group: 'mint',
  title: `${HOSTS} tunnels to cold hosts at once, against as many connections to bare Fastify`,
  columns: [
    ['CPU, ms a tunnel', ({ cpu }) => cpu.toFixed(2)],
    ['all done after, s', ({ seconds }) => seconds.toFixed(1)],
    ['event loop held up, ms: longest', ({ delay }) => delay.max.toFixed(1)],
    ['99 %', ({ delay }) => delay.p99.toFixed(1)]
  ],
  async measure ({ execArgv }) {
    const rows = []
    for (const module of ['fastify', 'fastify-prox', 'mockttp']) rows.push(await crowd(module, execArgv))
    return [...rows, { label: 'http-mitm-proxy', failure: 'makes an RSA key for every host: 0.3 s of CPU time each' }]
  }
}
