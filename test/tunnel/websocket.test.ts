/** WebSockets through tunnels: `ws` and a proxy agent, `@fastify/websocket` behind the plugin. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import type { Test } from 'tap'
import WebSocket from 'ws'
import fastifyProx from '../../plugin/index'
import type { TunnelClosed } from '../../types/events'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawClient, RawResponse } from '../support/raw'
import { HANDSHAKE, HANDSHAKE_LINES } from '../support/websocket'
import { PROX, recorded } from './support'

/** Tells each client what it asked for, then echoes. */
function sockets (app: FastifyInstance): void {
  app.route({
    method: 'GET',
    url: '/p/*',
    handler: async ({ proxy }) => ({ url: proxy!.url }),
    wsHandler: (socket, { proxy, url }) => {
      socket.on('message', (message, binary) => {
        socket.send(binary ? message : `${url} ${proxy!.url}: ${String(message)}`, { binary })
      })
    }
  })
}

async function open (t: Test, proxy: Proxy, url: string): Promise<WebSocket> {
  const socket = new WebSocket(url, {
    agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`), ca: proxy.app.proxyCA.certificatePem
  })
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

/** The answer to a handshake that is written by hand. */
async function shake (client: RawClient): Promise<RawResponse> {
  return await client.ask('GET', '/socket', { host: 'example.com', ...HANDSHAKE })
}

async function say (socket: WebSocket, message: string | Buffer): Promise<Buffer> {
  socket.send(message)
  const [answer] = await once(socket, 'message') as [Buffer]
  return answer
}

t.test('ws:// and wss:// reach the routes of @fastify/websocket', async (t) => {
  const withSockets = async (app: FastifyInstance): Promise<void> => {
    await app.register(websocket)
    sockets(app)
  }
  const after = await start(t, { prox: PROX }, withSockets)

  for (const url of ['wss://echo.example.com/a?b=c', 'ws://echo.example.com/a?b=c', 'wss://echo.example.com:8443/']) {
    const socket = await open(t, after, url)
    const asked = url.replace('ws', 'http')
    t.equal(String(await say(socket, 'hi')), `/p/${asked} ${asked}: hi`)
    const bytes = Buffer.alloc(300_000, 7)
    t.ok((await say(socket, bytes)).equals(bytes), 'a message larger than a frame of TLS comes back whole')
    socket.close(1000)
    const [code] = await once(socket, 'close')
    t.equal(code, 1000)
  }

  t.test('also where it is registered before the plugin', async (t) => {
    const { default: Fastify } = await import('fastify')
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(websocket)
    await app.register(fastifyProx, { ...PROX, ca: { store: new Map() } })
    sockets(app)
    await app.listen({ port: 0 })
    const agent = new HttpsProxyAgent(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    const socket = new WebSocket('wss://example.com/x', { agent, ca: app.proxyCA.certificatePem })
    await once(socket, 'open')
    t.equal(String(await say(socket, 'hi')), '/p/https://example.com/x https://example.com/x: hi')
    socket.terminate()
  })

  t.test('after other requests of the tunnel, and with its first frame in the same piece', async (t) => {
    const client = await after.tls('example.com:443')
    t.equal((await client.ask('GET', '/first')).status, 200)
    const ping = Buffer.from([0x89, 0x80, 0, 0, 0, 0]).toString('latin1')
    client.write(`GET /socket HTTP/1.1\r\nHost: example.com\r\n${HANDSHAKE_LINES.join('\r\n')}\r\n\r\n${ping}`)
    t.equal((await client.response()).status, 101)
    t.equal(await client.read(2), '\x8a\x00', 'a pong')
  })

  t.test('a client that resets a WebSocket ends its tunnel', async (t) => {
    const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
    const client = await after.tunnel('example.com:80')
    t.equal((await shake(client)).status, 101)
    client.socket.resetAndDestroy()
    t.match(await closed.next(), { authority: 'example.com:80', requests: 1 })
  })
})

t.test('a WebSocket that is silent outlives the limit of idle tunnels', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 40 } } }, async (app) => {
    await app.register(websocket)
    sockets(app)
  })
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const socket = await open(t, proxy, 'ws://quiet.example.com/')
  const idle = await proxy.tunnel('idle.example.com:80')
  t.equal((await idle.ask('GET', '/')).status, 200)
  t.match(await closed.next(), { authority: 'idle.example.com:80', reason: 'idle' })
  t.equal(String(await say(socket, 'still here')), '/p/http://quiet.example.com/ http://quiet.example.com/: still here')
})

t.test('upgrades that nobody takes', async (t) => {
  t.test('are answered by hooks like any request', async (t) => {
    const proxy = await start(t, { prox: PROX }, async (app) => {
      await app.register(websocket)
      app.addHook('onRequest', async ({ method }, reply) => { if (method === 'GET') await reply.code(403).send('no') })
      sockets(app)
    })
    const client = await proxy.tls('example.com:443')
    const { status, body } = await shake(client)
    t.strictSame([status, body], [403, 'no'])
  })

  t.test('to something else are ignored: with content, and the tunnel goes on', async (t) => {
    const proxy = await start(t, { prox: PROX }, async (app) => {
      await app.register(websocket)
      app.post('/p/*', async ({ body, headers }) => ({ body, upgrade: headers.upgrade ?? null }))
    })
    for (const client of [await proxy.tls('example.com:443'), await proxy.tunnel('example.com:80')]) {
      for (const text of ['one', 'two']) {
        const fields = { 'content-type': 'text/plain', connection: 'Upgrade', upgrade: 'h2c' }
        const { status, body } = await client.ask('POST', '/', fields, text)
        t.equal(status, 200)
        t.strictSame(JSON.parse(body), { body: text, upgrade: null })
      }
    }
  })

  t.test('are ordinary requests with websockets: false', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, websockets: false } }, async (app) => {
      await app.register(websocket)
      sockets(app)
    })
    const client = await proxy.tls('example.com:443')
    const { status, body } = await shake(client)
    t.strictSame([status, body], [200, '{"url":"https://example.com/socket"}'])
  })

  t.test('are ordinary requests without @fastify/websocket', async (t) => {
    const proxy = await start(t, { prox: PROX }, (app) => {
      app.get('/p/*', async ({ proxy }) => ({ url: proxy!.url }))
    })
    const client = await proxy.tunnel('example.com:80')
    t.equal((await shake(client)).body, '{"url":"http://example.com/socket"}')
  })
})
