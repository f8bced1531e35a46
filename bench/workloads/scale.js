/** What more processes bring, and what connections that stand open cost the others. */
import { openTls } from '../client/connect.js'
import { Contender } from '../contender.js'
import { median } from '../statistics.js'
import { keepAlive } from './requests.js'
import { newTunnels } from './tunnels.js'

const PROCESSES = [1, 2]
const OPEN = [100, 1_000, 10_000]
/** Tunnels that are being opened at a time, to have so many. */
const AT_A_TIME = 16

/** Runs a workload in turns; CPU time in microseconds per unit, and units per second, of the middle turn. */
async function turns (workload, contender, { rounds, block, warmUp }) {
  const state = await workload.prepare(contender, {})
  await workload.run(state, performance.now() + 2 * warmUp)
  const cpu = []
  const perSecond = []
  for (let round = 0; round < rounds / 2; round++) {
    const before = await contender.cpu()
    const begin = performance.now()
    const units = await workload.run(state, begin + 2 * block)
    perSecond.push(units / ((performance.now() - begin) / 1000))
    cpu.push((await contender.cpu() - before) / units)
  }
  await workload.dispose(state)
  return { cpu: median(cpu), perSecond: median(perSecond) }
}

export const scaleProcesses = {
  name: 'scale-processes',
  group: 'scale',
  title: 'One process and two (node:cluster), the client on the same two cores',
  columns: [
    ['requests a second', ({ requests }) => requests.perSecond.toFixed(0)],
    ['CPU, µs a request', ({ requests }) => requests.cpu.toFixed(1)],
    ['new tunnels a second', ({ tunnels }) => tunnels.perSecond.toFixed(0)],
    ['CPU, µs a tunnel', ({ tunnels }) => tunnels.cpu.toFixed(0)]
  ],
  async measure (effort) {
    const rows = []
    for (const workers of PROCESSES) {
      const contender = await Contender.start('fastify-prox-cluster', { workers }, effort.execArgv)
      try {
        const requests = await turns(keepAlive, contender, effort)
        rows.push({ label: String(workers), requests, tunnels: await turns(newTunnels, contender, effort) })
      } finally {
        await contender.stop()
      }
    }
    return rows
  }
}

async function openMore (contender, sockets, count) {
  await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
    while (sockets.length < count) sockets.push(await openTls(contender))
  }))
}

const ratioOf = (part) => (row, rows) => {
  const first = rows.find(({ module }) => module === row.module)
  return (row[part].cpu / first[part].cpu).toFixed(2)
}

export const scaleTunnels = {
  name: 'scale-tunnels',
  group: 'scale',
  title: 'With so many idle connections or tunnels open',
  columns: [
    ['CPU, µs a new one', ({ tunnels }) => tunnels.cpu.toFixed(0)],
    ['ratio', ratioOf('tunnels')],
    ['CPU, µs a request', ({ requests }) => requests.cpu.toFixed(1)],
    ['ratio', ratioOf('requests')],
    ['RSS, MB', ({ rss }) => rss.toFixed(0)]
  ],
  async measure (effort) {
    return [...await withOpen('fastify', effort), ...await withOpen('fastify-prox', effort)]
  }
}

async function withOpen (module, effort) {
  const contender = await Contender.start(module, { https: true, tunnels: 2 * OPEN.at(-1) }, effort.execArgv)
  const sockets = []
  const rows = []
  try {
    // V8 is done with the code before the first row.
    await newTunnels.run(contender, performance.now() + 8 * effort.warmUp)
    for (const count of OPEN) {
      await openMore(contender, sockets, count)
      const tunnels = await turns(newTunnels, contender, effort)
      const requests = await turns(keepAlive, contender, effort)
      if (sockets.some(({ destroyed }) => destroyed)) throw new Error('idle connections have ended')
      const rss = await contender.rss() / 2 ** 20
      rows.push({ module, label: `${module}, ${count.toLocaleString('en')}`, tunnels, requests, rss })
    }
    return rows
  } finally {
    for (const socket of sockets) socket.destroy()
    await contender.stop()
  }
}
