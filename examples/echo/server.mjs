/** Answers every proxied request by telling what it was: what `npm start` runs. */
import { relative } from 'node:path'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'

const { PORT = '8080', LOG_LEVEL = 'warn' } = process.env

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(websocket)
await app.register(fastifyProx, { resolver: '/prefix/' })

// Ends JSON with a newline, so that the prompt of a shell stands on a line of its own.
app.addHook('onSend', async (request, reply, payload) => {
  const isJson = typeof payload === 'string' && /^application\/json\b/.test(reply.getHeader('content-type'))
  return isJson ? `${payload}\n` : payload
})

const echo = (request) => ({
  route: request.url,
  method: request.method,
  url: request.proxy?.url ?? null,
  proxyHost: request.proxy?.proxyHost ?? null
})

app.route({
  method: 'GET',
  url: '/prefix/*',
  handler: echo,
  wsHandler: (socket, request) => {
    socket.on('message', (message, binary) => socket.send(binary ? message : `${request.proxy.url}: ${message}`))
  }
})
app.route({
  method: ['POST', 'PUT', 'PATCH', 'DELETE'],
  url: '/prefix/*',
  handler: (request) => ({ ...echo(request), body: request.body })
})
app.get('/*', echo)

try {
  await app.listen({ port: Number(PORT) })
} catch (err) {
  if (err.code !== 'EADDRINUSE') throw err
  console.error(`Port ${PORT} is taken. Choose another one: PORT=${Number(PORT) + 1} npm start`)
  process.exit(1)
}

const ca = relative('.', app.proxyCA.file)
const { port } = app.server.address()
console.log(`Proxy:  http://localhost:${port}, HTTP, HTTPS and WebSocket`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} "https://example.com/path/file.html?A=B"`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
