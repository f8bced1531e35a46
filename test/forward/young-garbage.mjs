/**
 * Forwards requests on one connection, has V8 collect its young space alone, and prints as JSON how many of the objects
 * of the exchanges there are, and how many are alive. A program of its own, since tap's loader keeps objects alive.
 */
import { once } from 'node:events'
import http from 'node:http'
import Fastify from 'fastify'
import fastifyProx from '../../dist/plugin/index.js'
import forward from '../../dist/forward/index.js'

const EXCHANGES = 60

async function collectYoung () {
  for (let i = 0; i < 3; i++) {
    // What was put into a WeakRef stays until the job has ended, and what has seen two collections is old.
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc({ type: 'minor' })
  }
}

const site = http.createServer((_request, response) => {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 4 }).end('site')
})
site.listen(0, '127.0.0.1')
await once(site, 'listening')
const url = `http://127.0.0.1:${site.address().port}/`
const app = Fastify()
await app.register(fastifyProx, { ca: { store: new Map() } })
await app.register(forward, { allow: ['127.0.0.1'] })
const refs = []
app.all('/*', (request, reply) => {
  refs.push(new WeakRef(request), new WeakRef(reply.raw))
  return reply.forward({ url, onResponse: ({ body }) => { refs.push(new WeakRef(body)) } })
})
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address()
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
for (let i = 0; i < EXCHANGES; i++) {
  const [response] = await once(http.get({ agent, host: '127.0.0.1', port, path: '/' }), 'response')
  await once(response.resume(), 'end')
}
await collectYoung()
const alive = refs.filter((ref) => ref.deref() !== undefined).length
console.log(JSON.stringify({ objects: refs.length, alive }))
agent.destroy()
await app.close()
site.close()
