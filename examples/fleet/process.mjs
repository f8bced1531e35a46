/** One process of the fleet. It listens behind a balancer, which tells it whose the connections are. */
import { setTimeout as pause } from 'node:timers/promises'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import store, { close } from './store.mjs'

const {
  PORT = '0', HOST = '127.0.0.1', TRUSTED = '127.0.0.1', DRAIN = '1000', CA_REFRESH = '5000',
  TUNNELS_PER_CLIENT = '1000', LOG_LEVEL = 'warn'
} = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx, {
  resolver: '/web/',
  ca: { store, refresh: Number(CA_REFRESH) },
  proxyProtocol: { trusted: TRUSTED.split(',') },
  limits: { tunnelsPerClient: Number(TUNNELS_PER_CLIENT) }
})

let draining = false
// The balancer asks for it, and sends no new connections to a process that drains.
app.get('/health', async (_request, reply) => {
  if (draining) reply.code(503)
  return draining ? 'draining\n' : 'ok\n'
})
// Connections that are kept alive end behind their next response, and not in the moment of a request.
app.addHook('onSend', async ({ raw }, reply) => {
  if (!draining) return
  if (raw.httpVersionMajor === 2) raw.stream.session?.close()
  else reply.header('connection', 'close')
})
app.all('/web/*', async ({ ip, proxy }) => {
  return { url: proxy?.url, client: ip, tunnel: proxy?.tunnel?.remoteAddress, process: process.pid }
})

await app.listen({ port: Number(PORT), host: HOST })
process.send?.(app.server.address().port)

process.once('SIGTERM', async () => {
  draining = true
  await pause(Number(DRAIN))
  await app.close()
  await close()
  process.exit()
})
// The terminal's SIGINT reaches everybody; the one that started this process ends it.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit())
