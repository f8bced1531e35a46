/** The plugin with its defaults, whose policy passes every tunnel through. */
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import { startOrigin } from './origin.js'

export async function start () {
  const { host } = new URL(await startOrigin())
  const app = Fastify()
  const decision = fastifyProx.pass({ allow: ['127.0.0.1'] })
  await app.register(fastifyProx, { ca: { store: new Map() }, onConnect: () => decision })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca: undefined, proxy: true, authority: host }
}
