/** Tunnels that are passed through, beside a bare relay of bytes: small requests, and large transfers. */
import { end, openThrough } from '../client/connect.js'
import * as http1 from '../client/http1.js'

const CONNECTIONS = 16

/** The first is what the other is compared with. */
const CONTENDERS = [
  { module: 'net-relay', label: 'net relay' },
  { module: 'fastify-prox-pass', label: 'fastify-prox' }
]

const passed = { group: 'pass', goal: 1.1, options: {}, contenders: CONTENDERS }

export const passKeepAlive = {
  ...passed,
  name: 'pass-requests',
  title: 'Keep-alive requests in tunnels that are passed through',
  unit: 'request',
  prepare: (contender) => Promise.all(Array.from({ length: CONNECTIONS }, () => openThrough(contender))),
  run: async (sockets, until) => {
    const counts = await Promise.all(sockets.map((socket) => http1.repeat(socket, http1.GET, until)))
    return counts.reduce((sum, count) => sum + count)
  },
  dispose: (sockets) => Promise.all(sockets.map(end))
}

const transfer = { ...passed, unit: '100 MB', rounds: 0.6, prepare: (contender) => contender, dispose () {} }

async function repeat (exchange, contender, until) {
  let count = 0
  do {
    const socket = await openThrough(contender)
    await exchange(socket)
    await end(socket)
    count++
  } while (performance.now() < until)
  return count
}

export const passDown = {
  ...transfer,
  name: 'pass-down',
  title: '100 MB down in a tunnel that is passed through',
  run: (contender, until) => repeat(http1.download, contender, until)
}

export const passUp = {
  ...transfer,
  name: 'pass-up',
  title: '100 MB up in a tunnel that is passed through',
  run: (contender, until) => repeat(http1.upload, contender, until)
}
