/** Bare Fastify, the limit: over TLS with a static P-256 certificate, or plain. */
import Fastify from 'fastify'
import { staticCertificate } from '../certificates.js'
import { addRoutes } from './app.js'

export async function start ({ https, http2, websockets }) {
  const { ca, key, cert } = await staticCertificate()
  const app = Fastify(https ? { https: { key, cert }, ...(http2 && { http2: true }) } : {})
  await addRoutes(app, '/', '', websockets)
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca, proxy: false }
}
