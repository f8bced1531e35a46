/** A proxy in the usual sense: fetches what the client asks for from the real site, and answers with that. */
import { relative } from 'node:path'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import forward from 'fastify-prox/forward'

const { PORT = '8080', LOG_LEVEL = 'warn', ALLOW = 'public' } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx)
await app.register(forward, { allow: ALLOW.split(',') })
app.all('/*', (request, reply) => reply.forward())
await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}, to the real sites`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} https://example.com/`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
