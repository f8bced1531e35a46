/** New tunnels: CONNECT, the handshake, one request, and the end. */
import { once } from 'node:events'
import { end, openTls } from '../client/connect.js'
import * as http1 from '../client/http1.js'
import { ABSENT, ALL, TUNNELLED } from './peers.js'

/** Tunnels that are being opened at a time. */
const AT_A_TIME = 4

const WARM = 'fastify-prox, warm host'

/** Opens tunnels until the time is over, each with what `next` returns. */
async function openUntil (contender, until, next) {
  let count = 0
  const one = async () => {
    do {
      const options = next()
      const socket = await openTls(contender, options)
      if (options.session !== undefined && !socket.isSessionReused()) throw new Error('does not resume sessions')
      await http1.repeat(socket, http1.GET, 0)
      await end(socket)
      count++
    } while (performance.now() < until)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, one))
  return count
}

const tunnels = {
  unit: 'tunnel',
  options: { https: true },
  contenders: TUNNELLED,
  absent: ABSENT,
  /** The code that opens a connection runs once for each: V8 is done with it after thousands of them. */
  warmUpUnits: 6_000,
  dispose () {}
}

export const newTunnels = {
  ...tunnels,
  name: 'new-tunnels',
  title: 'New tunnels to a warm host',
  goal: 1.1,
  prepare: (contender) => contender,
  run: (contender, until) => openUntil(contender, until, () => ({}))
}

export const resumedTunnels = {
  ...tunnels,
  name: 'resumed-tunnels',
  title: 'New tunnels to a warm host, TLS sessions resumed',
  goal: 1.1,
  async prepare (contender) {
    const socket = await openTls(contender)
    await http1.repeat(socket, http1.GET, 0)
    if (socket.sessions.length === 0) await once(socket, 'session', { signal: AbortSignal.timeout(1_000) })
    await end(socket)
    return { contender, session: socket.sessions.at(-1) }
  },
  run: ({ contender, session }, until) => openUntil(contender, until, () => ({ session }))
}

export const coldHosts = {
  ...tunnels,
  name: 'cold-hosts',
  /** A round is long: http-mitm-proxy makes an RSA key for every host. */
  rounds: 0.5,
  title: 'Tunnels to cold hosts, against new connections to bare Fastify',
  goal: 2.3,
  contenders: ['fastify', { module: 'fastify-prox', label: WARM }, ...ALL.slice(1)],
  prepare: (contender, { label }) => ({ contender, cold: contender.proxy && label !== WARM, hosts: 0 }),
  run (state, until) {
    // Every host has a parent of its own, so that no certificate is for two of them.
    const next = () => state.cold ? { host: `www.cold-${state.hosts++}.example` } : {}
    return openUntil(state.contender, until, next)
  }
}
