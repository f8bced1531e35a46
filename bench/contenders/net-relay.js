/**
 * A bare relay of `node:net`, the limit: every connection goes to the host, whatever is said on it. An application is
 * there besides, as in every process that the plugin is in: with its heap, V8 takes four times the CPU for a transfer.
 */
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import { startOrigin } from './origin.js'

export async function start () {
  const { port } = new URL(await startOrigin())
  const app = Fastify()
  await app.register(fastifyProx, { ca: { store: new Map() } })
  await app.ready()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ host: '127.0.0.1', port: Number(port), allowHalfOpen: true, noDelay: true })
    client.on('error', () => upstream.destroy())
    upstream.on('error', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  server.on('close', () => app.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: server.address().port, ca: undefined, proxy: false }
}
