/**
 * What an idle tunnel holds: resident memory of the server, before and after tunnels that have had one request each.
 */
import { openTls } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import { Contender } from '../contender.js'
import { median } from '../statistics.js'
import { TUNNELLED } from './peers.js'
import { keepAlive } from './requests.js'
import { newTunnels } from './tunnels.js'

const TUNNELS = 1_000
/** Tunnels that stand already: they fill what the process had free, which differs from contender to contender. */
const EARLIER = 1_000
const AT_A_TIME = 10
const KIB = 1024

/** What goes before the memory of a process is looked at, and how many milliseconds of requests. */
const TUNNELS_BEFORE = 6_000
const REQUESTS_BEFORE = 3_000

const CONTENDERS = ['fastify', 'fastify-prox', 'mockttp', 'http-mitm-proxy']

async function open (contender, count) {
  const sockets = []
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    for (let i = 0; i < count / AT_A_TIME; i++) {
      const socket = await openTls(contender)
      await http1.repeat(socket, http1.GET, 0)
      sockets.push(socket)
    }
  }))
  return sockets
}

/** Every process is measured once: what it has given back to its heap it would not ask of the system again. */
async function grow (module, execArgv) {
  const contender = await Contender.start(module, { https: true, tunnels: EARLIER + TUNNELS }, execArgv)
  try {
    const earlier = await open(contender, EARLIER)
    const before = await contender.memory()
    const sockets = await open(contender, TUNNELS)
    const after = await contender.memory()
    if ([...earlier, ...sockets].some(({ destroyed }) => destroyed)) {
      throw new Error('ends idle tunnels before there are enough')
    }
    for (const socket of [...earlier, ...sockets]) socket.destroy()
    const per = (key) => (after[key] - before[key]) / TUNNELS / KIB
    return { rss: per('rss'), heap: per('heapUsed') }
  } finally {
    await contender.stop()
  }
}

export const memory = {
  name: 'memory',
  title: `Memory of an idle tunnel, with ${TUNNELS} of them`,
  goal: 1.2,
  columns: [
    ['RSS, KiB', ({ rss }) => rss.toFixed(1)],
    ['ratio', ({ ratio }) => ratio.toFixed(2)],
    ['JS heap, KiB', ({ heap }) => heap.toFixed(1)]
  ],
  async measure ({ processes, execArgv }) {
    const series = new Map(CONTENDERS.map((label) => [label, []]))
    const failures = new Map()
    for (let round = 0; round < processes; round++) {
      for (const label of CONTENDERS) {
        if (failures.has(label)) continue
        try {
          series.get(label).push(await grow(label, execArgv))
        } catch (err) {
          if (label.startsWith('fastify')) throw err
          failures.set(label, err.message)
        }
      }
    }
    const middle = (label, key) => median(series.get(label).map((sample) => sample[key]))
    return CONTENDERS.map((label) => failures.has(label)
      ? { label, failure: failures.get(label) }
      : {
          label,
          rss: middle(label, 'rss'),
          ratio: middle(label, 'rss') / middle('fastify', 'rss'),
          heap: middle(label, 'heap'),
          rounds: series.get(label)
        })
  }
}

/** Bytes that a process holds after tunnels and requests, without a garbage collection of ours. */
async function work (module, execArgv) {
  const contender = await Contender.start(module, { https: true }, execArgv)
  try {
    for (let count = 0; count < TUNNELS_BEFORE;) count += await newTunnels.run(contender, performance.now() + 200)
    const sockets = await keepAlive.prepare(contender)
    await keepAlive.run(sockets, performance.now() + REQUESTS_BEFORE)
    await keepAlive.dispose(sockets)
    return await contender.rss()
  } finally {
    await contender.stop()
  }
}

export const processMemory = {
  name: 'process-memory',
  group: 'memory',
  title: `Memory of the process after ${TUNNELS_BEFORE} tunnels and ${REQUESTS_BEFORE / 1000} s of requests`,
  goal: 1.08,
  columns: [
    ['RSS, MB', ({ rss }) => rss.toFixed(0)],
    ['ratio', ({ ratio }) => ratio.toFixed(2)]
  ],
  async measure ({ processes, execArgv }) {
    const rows = []
    for (const entry of TUNNELLED.slice(0, CONTENDERS.length + 1)) {
      const { module, label } = typeof entry === 'string' ? { module: entry, label: entry } : entry
      const sizes = []
      for (let i = 0; i < processes; i++) sizes.push(await work(module, execArgv))
      const rss = median(sizes) / 2 ** 20
      rows.push({ label, rss, ratio: rss / (rows[0]?.rss ?? rss), rounds: sizes })
    }
    return rows
  }
}
