/** Forwards, and puts a line on top of every HTML page: `BANNER='Seen by the proxy' node server.mjs`. */
import { pipeline } from 'node:stream'
import { relative } from 'node:path'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import forward from 'fastify-prox/forward'
import { banner } from './banner.mjs'

const { PORT = '8080', LOG_LEVEL = 'warn', ALLOW = 'public', BANNER = 'Seen by the proxy' } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx)
await app.register(forward, { allow: ALLOW.split(',') })

app.all('/*', (request, reply) => reply.forward({
  // Only what asks for pages: images and downloads pass as they are encoded.
  decode: request.headers.accept?.includes('text/html'),
  onResponse (response) {
    const type = String(response.headers['content-type'])
    const isPage = type.startsWith('text/html') && !/charset="?utf-16/i.test(type)
    if (!isPage || !response.decoded || response.statusCode === 206 || request.method === 'HEAD') return
    response.body = pipeline(response.body, banner(BANNER), () => {})
  }
}))

await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}, to the real sites`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} -H 'Accept: text/html' https://example.com/`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
