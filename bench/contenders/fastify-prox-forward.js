/** The forwarder with its defaults, before a plain host in a process of its own. */
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import forward from '../../dist/forward/index.js'
import { startOrigin } from './origin.js'

export async function start () {
  const origin = await startOrigin()
  const app = Fastify()
  await app.register(fastifyProx, { ca: { store: new Map() } })
  await app.register(forward, { allow: ['127.0.0.1'] })
  app.all('/*', (request, reply) => reply.forward({ url: origin + request.raw.url }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca: undefined, proxy: false }
}
