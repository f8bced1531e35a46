/** The forwarder with its defaults, which records every exchange to a HAR file. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import forward from '../../dist/forward/index.js'
import har from '../../dist/har/index.js'
import { startOrigin } from './origin.js'

export async function start () {
  const origin = await startOrigin()
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-bench-har-'))
  const app = Fastify()
  await app.register(fastifyProx, { ca: { store: new Map() } })
  await app.register(forward, { allow: ['127.0.0.1'] })
  await app.register(har, { file: join(directory, 'bench.har'), mode: 'record' })
  app.all('/*', (request, reply) => reply.forward({ url: origin + request.raw.url }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { port: app.server.address().port, ca: undefined, proxy: false, directory }
}
