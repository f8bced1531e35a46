/**
 * The least that a proxy of Fastify's routes can do: CONNECT is answered and TLS ended, always with one certificate,
 * and the requests are given to Fastify as they are. No hooks, no limits, no logs.
 */
import { createServer } from 'node:http'
import { createSecureContext, TLSSocket } from 'node:tls'
import Fastify from 'fastify'
import { staticCertificate } from '../certificates.js'
import { addRoutes } from './app.js'

export async function start ({ websockets }) {
  const { ca, key, cert } = await staticCertificate()
  const secureContext = createSecureContext({ key, cert })
  const app = Fastify()
  await addRoutes(app, '/', '', websockets)
  await app.ready()

  const inner = createServer({ keepAliveTimeout: 0 })
  inner.on('request', app.routing)
  inner.on('upgrade', (...args) => app.server.emit('upgrade', ...args))
  app.server.on('connect', (request, socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    const secured = new TLSSocket(socket, { isServer: true, secureContext })
    secured.on('error', () => {})
    secured.once('secure', () => inner.emit('connection', secured))
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca, proxy: true }
}
