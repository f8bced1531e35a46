/** Recording to a HAR file, beside forwarding alone: CPU time, and memory over 10,000 exchanges. */
import { end, openPlain } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import { Contender } from '../contender.js'
import { forwardKeepAlive } from './forward.js'

const CONTENDERS = [
  { module: 'fastify-prox-forward', label: 'forwarding alone' },
  { module: 'fastify-prox-har', label: 'fastify-prox' }
]
const EXCHANGES = 10_000
const CONNECTIONS = 16
const KIB = 1024

export const record = {
  ...forwardKeepAlive,
  name: 'record',
  group: 'har',
  title: 'Forwarded keep-alive requests that are recorded to a HAR file',
  goal: 1.3,
  contenders: CONTENDERS
}

/** At least as many exchanges. */
async function converse (contender, count) {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => openPlain(contender)))
  let done = 0
  while (done < count) {
    const counts = await Promise.all(sockets.map((socket) => http1.repeat(socket, http1.GET, performance.now() + 100)))
    done += counts.reduce((sum, one) => sum + one)
  }
  await Promise.all(sockets.map(end))
  return done
}

export const recordMemory = {
  name: 'record-memory',
  group: 'har',
  title: `Memory that ${EXCHANGES} exchanges leave, of which as many went before`,
  columns: [
    ['JS heap, KiB', ({ heap }) => heap.toFixed(0)],
    ['RSS, KiB', ({ rss }) => rss.toFixed(0)]
  ],
  async measure ({ execArgv }) {
    const rows = []
    for (const { module, label } of CONTENDERS) {
      const contender = await Contender.start(module, {}, execArgv)
      try {
        await converse(contender, EXCHANGES)
        const before = await contender.memory()
        await converse(contender, EXCHANGES)
        const after = await contender.memory()
        rows.push({
          label, heap: (after.heapUsed - before.heapUsed) / KIB, rss: (after.rss - before.rss) / KIB
        })
      } finally {
        await contender.stop()
      }
    }
    return rows
  }
}
