/** Forwarding, beside Fastify and undici alone: small requests on connections that are kept, and large transfers. */
import { end, openPlain } from '../client/connect.js'
import * as http1 from '../client/http1.js'

const CONNECTIONS = 16

/** The first is what the others are compared with; the goal is the last one's. */
const CONTENDERS = [
  { module: 'fastify-undici', label: 'fastify and undici' },
  { module: 'fastify-prox-forward', label: 'fastify-prox' }
]

export const forwardKeepAlive = {
  name: 'forward',
  title: 'Forwarded keep-alive requests, HTTP/1.1',
  unit: 'request',
  goal: 1.15,
  options: {},
  contenders: CONTENDERS,
  prepare: (contender) => Promise.all(Array.from({ length: CONNECTIONS }, () => openPlain(contender))),
  run: async (sockets, until) => {
    const counts = await Promise.all(sockets.map((socket) => http1.repeat(socket, http1.GET, until)))
    return counts.reduce((sum, count) => sum + count)
  },
  dispose: (sockets) => Promise.all(sockets.map(end))
}

const transfer = {
  unit: '100 MB',
  rounds: 0.6,
  goal: 1.15,
  options: {},
  contenders: CONTENDERS,
  prepare: (contender) => contender,
  dispose () {}
}

async function repeat (exchange, contender, until) {
  let count = 0
  do {
    const socket = await openPlain(contender)
    await exchange(socket)
    await end(socket)
    count++
  } while (performance.now() < until)
  return count
}

export const forwardDown = {
  ...transfer,
  name: 'forward-down',
  title: '100 MB down, forwarded',
  run: (contender, until) => repeat(http1.download, contender, until)
}

export const forwardUp = {
  ...transfer,
  name: 'forward-up',
  title: '100 MB up, forwarded',
  run: (contender, until) => repeat(http1.upload, contender, until)
}
