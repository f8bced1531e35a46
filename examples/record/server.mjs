/** Records what a program asks of the web, once, and replays it from then on: `HAR=record`, and then without. */
import { relative } from 'node:path'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import forward from 'fastify-prox/forward'
import har from 'fastify-prox/har'

const { PORT = '8080', LOG_LEVEL = 'warn', ALLOW = 'public', HAR = 'replay' } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx)
await app.register(forward, { allow: ALLOW.split(',') })
await app.register(har, { file: 'site.har', mode: HAR })
app.all('/*', (request, reply) => reply.forward())
await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}; site.har: ${HAR}`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} https://example.com/`)

// The file is written when the server closes.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
