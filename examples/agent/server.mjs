/**
 * Egress control for an AI agent's sandbox: a list of hosts that it may talk to, one API that gets a secret which the
 * agent never sees, and 403 for everything else. README.md says what this does not do.
 */
import { pipeline } from 'node:stream'
import { relative } from 'node:path'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import forward from 'fastify-prox/forward'
import { scrub } from './scrub.mjs'

const {
  PORT = '8080', LOG_LEVEL = 'info', ALLOW = 'public',
  HOSTS = 'example.com,*.example.org', API_HOST = 'api.example.com', API_KEY = 'secret'
} = process.env

const app = Fastify({ logger: { level: LOG_LEVEL, stream: process.stderr } })
const options = { allow: ALLOW.split(',') }

/** A host that the agent may read from and write to. */
async function allowed (host) {
  await host.register(forward, options)
  host.all('/*', (request, reply) => reply.forward())
}

/** The API that takes the secret: over TLS, to a host whose certificate was verified, and nowhere else. */
async function api (host) {
  await host.register(forward, options)
  host.all('/*', (request, reply) => {
    if (request.proxy.scheme !== 'https') return refuse(request, reply)
    return reply.forward({
      headers: { authorization: `Bearer ${API_KEY}` },
      decode: true,
      onResponse (response) {
        // What cannot be read cannot be searched.
        if (!response.decoded) throw new Error('the API answers in a coding that was not asked for')
        for (const [name, value] of Object.entries(response.headers)) {
          response.headers[name] = Array.isArray(value) ? value.map(masked) : masked(value)
        }
        delete response.headers.trailer
        response.body = pipeline(response.body, scrub(API_KEY), () => {})
      }
    })
  })
}

function masked (text) {
  return text.replaceAll(API_KEY, '*'.repeat(API_KEY.length))
}

function refuse (request, reply) {
  request.log.warn({ url: request.proxy?.url ?? request.url, method: request.method }, 'refused')
  return reply.code(403).send({ error: 'This host is not on the list. Ask the operator of the sandbox' })
}

await app.register(fastifyProx, {
  proxyApps: Object.fromEntries([...HOSTS.split(',').map((name) => [name, allowed]), [API_HOST, api]])
})
// The one place for everything else: other hosts, other ports' hosts, requests to the proxy itself.
app.setNotFoundHandler(refuse)

await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}, to ${HOSTS} and ${API_HOST}`)
console.log(`CA:     ${ca}`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} https://${API_HOST}/`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
