import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type { ServerOptions } from 'ws'
import type forward from '../../forward/index'
import type { Proxy } from '../support/proxy'
import { startForward } from './support'

interface SocketSite {
  readonly port: number
  readonly wss: WebSocketServer
  readonly server: http.Server
}

async function startSocketSite (t: Test, options: ServerOptions = {}): Promise<SocketSite> {
  const server = http.createServer()
  const wss = new WebSocketServer({ server, ...options })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const client of wss.clients) client.terminate()
    server.close()
    server.closeAllConnections()
  })
  return { port: (server.address() as AddressInfo).port, wss, server }
}

async function startProxy (
  t: Test, options: forward.ForwardPluginOptions = {}, config: forward.ForwardConfig = true
): Promise<Proxy> {
  return await startForward(t, options, async (app) => {
    await app.register(websocket)
    app.get('/*', { websocket: true, config: { forward: config } }, (socket, request) => request.forwardSocket(socket))
  })
}

function dial (
  t: Test, proxy: Proxy, url: string, protocols: string[] = [], headers: Record<string, string> = {}
): WebSocket {
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(url, protocols, { agent, headers })
  client.on('error', () => {})
  t.teardown(() => client.terminate())
  return client
}

t.test('relays messages, the subprotocol, pings and close codes, whoever begins', async (t) => {
  const site = await startSocketSite(t, { handleProtocols: () => 'two' })
  const proxy = await startProxy(t)
  const connected = once(site.wss, 'connection')
  const client = dial(t, proxy, `ws://127.0.0.1:${site.port}/a/../%7c?b`, ['one', 'two'], { 'x-a': '1' })
  const [server, request] = await connected as [WebSocket, http.IncomingMessage]
  server.send('at once')
  t.strictSame((await once(client, 'message')).map(String), ['at once', 'false'])
  t.equal(client.protocol, 'two')
  t.equal(request.headers['x-a'], '1')
  t.match(request.headers.via, /^1.1 fastify-prox-/)
  client.send(Buffer.from([1, 2]))
  t.strictSame(await once(server, 'message'), [Buffer.from([1, 2]), true])
  client.ping('p')
  t.strictSame(await once(server, 'ping'), [Buffer.from('p')])
  server.ping('q')
  t.strictSame(await once(client, 'ping'), [Buffer.from('q')])
  server.close(4000, 'over')
  t.strictSame((await once(client, 'close')).map(String), ['4000', 'over'])
})

for (const [what, close, code] of [
  ['a close without a code', (socket: WebSocket) => socket.close(), 1005],
  ['a connection that breaks', (socket: WebSocket) => socket.terminate(), 1006],
  ['a close with a code', (socket: WebSocket) => socket.close(1001, 'gone'), 1001]
] as const) {
  t.test(`hands on ${what}, both ways`, async (t) => {
    const site = await startSocketSite(t)
    const proxy = await startProxy(t)
    for (const side of ['client', 'server']) {
      const connected = once(site.wss, 'connection')
      const client = dial(t, proxy, `ws://127.0.0.1:${site.port}/`)
      await once(client, 'open')
      const [server] = await connected as [WebSocket]
      const [from, to] = side === 'client' ? [client, server] : [server, client]
      const closed = once(to, 'close')
      close(from)
      t.equal((await closed)[0], code)
    }
  })
}

t.test('has the refusal of the host reach the client as it is', async (t) => {
  const site = await startSocketSite(t, {
    verifyClient: (_info, done) => done(false, 401, 'Who are you', { 'X-Why': 'none' })
  })
  const proxy = await startProxy(t)
  const client = dial(t, proxy, `ws://127.0.0.1:${site.port}/`)
  const [, response] = await once(client, 'unexpected-response') as [unknown, http.IncomingMessage]
  t.strictSame([response.statusCode, response.headers['x-why']], [401, 'none'])
  t.equal(Buffer.concat(await response.toArray()).toString(), 'Who are you')
})

t.test('answers 502 and 403 when the host cannot be dialled', async (t) => {
  const proxy = await startProxy(t)
  for (const [url, status] of [['ws://127.0.0.1:1/', 502], ['ws://10.0.0.1/', 403]] as const) {
    const client = dial(t, proxy, url)
    const [, response] = await once(client, 'unexpected-response') as [unknown, http.IncomingMessage]
    t.equal(response.statusCode, status, url)
  }
})

t.test('dials when the handler says so in a route that is not marked, and closes with 1014', async (t) => {
  const site = await startSocketSite(t)
  site.wss.on('connection', (server) => server.on('message', (data) => server.send(data)))
  const proxy = await startProxy(t, {}, false)
  const client = dial(t, proxy, `ws://127.0.0.1:${site.port}/`)
  await once(client, 'open')
  client.send('hello')
  t.equal(String((await once(client, 'message'))[0]), 'hello')
  const refused = dial(t, proxy, 'ws://127.0.0.1:1/')
  t.equal((await once(refused, 'close'))[0], 1014)
  await proxy.log.next(/config: { forward: true }/)
})

t.test('reads no more of a side than the other takes', async (t) => {
  const site = await startSocketSite(t)
  const proxy = await startProxy(t)
  const connected = once(site.wss, 'connection')
  const client = dial(t, proxy, `ws://127.0.0.1:${site.port}/`)
  await once(client, 'open')
  const [server] = await connected as [WebSocket]
  client.pause()
  const block = Buffer.alloc(1024 * 1024)
  let sent = 0
  while (server.bufferedAmount < 16 * block.length && sent < 200) {
    await new Promise((resolve) => {
      server.send(block, resolve)
      setImmediate(resolve)
    })
    sent++
  }
  t.ok(sent < 200, `${sent} MB were taken`)
  let received = 0
  const all = new Promise<void>((resolve) => client.on('message', () => { if (++received === sent) resolve() }))
  client.resume()
  await all
  t.equal(received, sent)
})
