/** Records what a browser sees of the web to WARC files (`WARC=record`), and replays it, of a `DATE` if one is set. */
import { relative } from 'node:path'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import forward from 'fastify-prox/forward'
import warc from 'fastify-prox/warc'

const { PORT = '8080', LOG_LEVEL = 'error', ALLOW = 'public', WARC = 'replay', ARCHIVE = 'archive', DATE } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx)
if (WARC === 'record') {
  await app.register(websocket)
  await app.register(forward, { allow: ALLOW.split(',') })
  await app.register(warc, { directory: ARCHIVE, prefix: 'example' })
  app.route({
    method: app.supportedMethods.filter((method) => method !== 'GET'),
    url: '/*',
    handler: (request, reply) => reply.forward()
  })
  app.route({
    method: 'GET',
    url: '/*',
    exposeHeadRoute: false,
    config: { forward: true },
    handler: (request, reply) => reply.forward(),
    wsHandler: (socket, request) => request.forwardSocket(socket)
  })
} else {
  await app.register(warc.replay, { files: ARCHIVE, date: DATE })
}
await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}; ${ARCHIVE}: ${WARC}`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
const flags = `--proxy-server=localhost:${port} --proxy-bypass-list='<-loopback>'`
console.log(`Try:    chromium ${flags} http://127.0.0.1:8081/`)

// The last file is finished when the server closes.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
