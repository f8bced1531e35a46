/** Paths that are no percent-encoded UTF-8 reach the application, by whichever way they come. */
import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import { create, LOOPBACK, Proxy, start } from '../support/proxy'
import { ask, h2 } from '../tunnel/support'

const PATHS: Array<[path: string, wildcard: string]> = [
  ['/caf%E9', 'caf%E9'],
  ['/%B1%B1/x?%B1', '%B1%B1/x'],
  ['/50%off', '50%off'],
  ['/%C3%BC/%FC%20', 'ü/%FC '],
  ['/%25E9', '%E9']
]

async function tell (request: FastifyRequest): Promise<object> {
  const { url, originalUrl, proxy, params, query, routeOptions, is404 } = request
  const { '*': wildcard } = params as { '*': string }
  return { url, originalUrl, proxied: proxy?.url, wildcard, query, route: routeOptions.url, is404 }
}

function main (app: FastifyInstance): void {
  app.all('/p/*', tell)
}

const proxyApps = {
  'app.test': async (app: FastifyInstance) => { app.get('/*', tell) },
  'none.test': async (app: FastifyInstance) => {
    app.setNotFoundHandler(async (request, reply) => reply.code(404).send(await tell(request)))
  },
  'alias.test': null
}

t.test('requests in absolute-form, and in tunnels of either version of HTTP, reach their route', async (t) => {
  const proxy = await start(t, { prox: { resolver: '/p/', proxyApps } }, main)
  const plain = await proxy.client()
  const secure = await proxy.tls('app.test:443')
  const resolved = await proxy.tls('other.test:443')
  const session = await h2(t, proxy, 'other.test:443')
  const inApp = await h2(t, proxy, 'app.test:443')
  const bodyOf = async (answer: Promise<{ body: unknown }>): Promise<unknown> => JSON.parse(String((await answer).body))
  for (const [path, wildcard] of PATHS) {
    t.match(await bodyOf(plain.ask('GET', `http://app.test${path}`)), {
      url: path,
      originalUrl: `http://app.test${path}`,
      proxied: `http://app.test${path}`,
      wildcard,
      route: '/*'
    })
    t.match(await bodyOf(secure.ask('GET', path)), {
      url: path,
      originalUrl: path,
      proxied: `https://app.test${path}`,
      wildcard,
      route: '/*'
    })
    t.match(await bodyOf(ask(inApp, { ':path': path })), { url: path, proxied: `https://app.test${path}`, wildcard })
    t.match(await bodyOf(plain.ask('GET', `http://none.test${path}`)), {
      url: path,
      proxied: `http://none.test${path}`,
      wildcard,
      is404: true
    })

    const tunnelled = {
      url: `/p/https://other.test${path}`,
      proxied: `https://other.test${path}`,
      wildcard: `https://other.test/${wildcard}`
    }
    t.match(await bodyOf(resolved.ask('GET', path)), { ...tunnelled, route: '/p/*' })
    t.match(await bodyOf(ask(session, { ':path': path })), tunnelled)
    t.match(await bodyOf(plain.ask('POST', `http://other.test${path}`)), {
      url: `/p/http://other.test${path}`,
      wildcard: `http://other.test/${wildcard}`
    })
  }
})

t.test("Fastify's own 404 names the path as it was sent", async (t) => {
  const proxy = await start(t, { prox: { resolver: '/none/', proxyApps } }, main)
  const client = await proxy.client()
  for (const [host, path] of [['other.test', '/none/http://other.test/caf%E9'], ['alias.test', '/caf%E9']]) {
    const body = `{"message":"Route GET:${path} not found","error":"Not Found","statusCode":404}`
    t.match(await client.ask('GET', `http://${host}/caf%E9`), { status: 404, body })
  }
  const further = await client.ask('GET', 'http://alias.test/p/%E9')
  t.match(further, { status: 200, body: /"wildcard":"%E9"/ }, 'a further name of the application')
  t.equal((await client.ask('GET', '/p/%E9')).status, 400, 'direct requests are left to Fastify')
})

t.test('WebSockets reach their route', async (t) => {
  const { app, log } = await create(t, { prox: { resolver: '/p/' } })
  await app.register(websocket)
  await app.register(async (child) => {
    child.get('/p/*', { websocket: true }, (socket, { url }) => { socket.send(url) })
  })
  await app.listen({ port: 0, host: LOOPBACK })
  const proxy = new Proxy(t, app, log)
  const finishRequest = (request: ClientRequest): void => {
    Object.assign(request, { path: 'http://other.test/caf%E9' }).end()
  }
  const socket = new WebSocket(`ws://${LOOPBACK}:${proxy.port}/`, { finishRequest })
  t.teardown(() => socket.terminate())
  const [message] = await once(socket, 'message')
  t.match(String(message), /^\/p\/(?:http|ws):\/\/other\.test\/caf%E9$/)
})

t.test('injected requests reach their route', async (t) => {
  const { app } = await create(t, { prox: { resolver: '/p/', proxyApps } }, main)
  for (const [path, wildcard] of PATHS) {
    t.match((await app.injectProxy(`https://app.test${path}`)).json(), { url: path, wildcard })
    t.match((await app.injectProxy(`http://other.test${path}`)).json(), {
      url: `/p/http://other.test${path}`,
      wildcard: `http://other.test/${wildcard}`
    })
  }
})
