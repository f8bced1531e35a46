/** What routes say of the WebSockets that they forward, and what hosts answer to that. */
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
import { startForward, startRaw } from './support'

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

async function startEcho (t: Test, options: ServerOptions = {}): Promise<{ wss: WebSocketServer, port: number }> {
  const wss = new WebSocketServer({ port: 0, host: '127.0.0.1', ...options })
  t.teardown(() => {
    for (const socket of wss.clients) socket.terminate()
    wss.close()
  })
  wss.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  await once(wss, 'listening')
  return { wss, port: (wss.address() as AddressInfo).port }
}

type Handler = (socket: WebSocket, forwardIt: () => void) => void

async function startProxy (
  t: Test, config: forward.ForwardConfig, options: forward.ForwardPluginOptions = {},
  handler: Handler = (_socket, forwardIt) => forwardIt()
): Promise<Proxy> {
  return await startForward(t, options, async (app) => {
    await app.register(websocket)
    app.get('/*', { websocket: true, config: { forward: config } }, (socket, request) => {
      handler(socket, () => request.forwardSocket(socket))
    })
  })
}

function dial (t: Test, proxy: Proxy, url: string, protocols: string[] = []): WebSocket {
  const client = new WebSocket(url, protocols, { agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`) })
  client.on('error', () => {})
  t.teardown(() => client.terminate())
  return client
}

t.test('a route says by a value, or by a function, which fields and which host', async (t) => {
  const { wss, port } = await startEcho(t)
  const fields: Array<string | undefined> = []
  wss.on('connection', (_socket, request) => fields.push(request.headers['x-a'] as string, request.url))
  const configs: forward.ForwardConfig[] = [
    { headers: { 'x-a': 'value' } },
    async () => ({ url: `ws://127.0.0.1:${port}/other`, headers: { 'x-a': 'function' } })
  ]
  for (const config of configs) {
    const proxy = await startProxy(t, config)
    const client = dial(t, proxy, `ws://127.0.0.1:${port}/`)
    await once(client, 'open')
    client.terminate()
  }
  t.strictSame(fields, ['value', '/', 'function', '/other'])
})

t.test('a WebSocket that comes back is refused', async (t) => {
  const { wss, port } = await startEcho(t)
  const proxy = await startProxy(t, true, { pseudonym: 'me' })
  const client = await proxy.client()
  client.write(`GET ws://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\nVia: 1.1 me\r\n${HANDSHAKE}\r\n`)
  t.match(await client.response(), { status: 508, body: /FST_PROX_LOOP/ })
  t.equal(wss.clients.size, 0)
})

t.test('a handshake has no limit of time where the limit is 0', async (t) => {
  const { port } = await startEcho(t, {
    verifyClient: (_info, done) => setTimeout(() => done(true), 50)
  })
  const proxy = await startProxy(t, true, { timeouts: { headers: 0, connect: 0 } })
  const client = dial(t, proxy, `ws://127.0.0.1:${port}/`)
  await once(client, 'open')
  client.send('hello')
  t.equal(String((await once(client, 'message'))[0]), 'hello')
})

t.test('a host that chooses none of the subprotocols is the client\'s to judge', async (t) => {
  const { port } = await startEcho(t, { handleProtocols: () => false })
  const proxy = await startProxy(t, true)
  const client = await proxy.client()
  const offered = 'Sec-WebSocket-Protocol: one, two\r\n'
  client.write(`GET ws://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\n${offered}${HANDSHAKE}\r\n`)
  const { status, headers } = await client.response()
  t.strictSame([status, headers['sec-websocket-protocol']], [101, undefined])
})

t.test('a host that breaks off, or answers no handshake, is answered for with 502', async (t) => {
  const closing = await startRaw(t, (socket) => socket.destroy())
  const wrong = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: wrong\r\n\r\n')
  })
  const proxy = await startProxy(t, true)
  for (const { port } of [closing, wrong]) {
    const client = dial(t, proxy, `ws://127.0.0.1:${port}/`)
    const [, response] = await once(client, 'unexpected-response') as [unknown, http.IncomingMessage]
    t.match([response.statusCode, (await response.toArray()).join('')], [502, /FST_PROX_UPSTREAM_FAILED/])
  }
})

t.test('a route that has closed its socket closes that of the host', async (t) => {
  const { wss, port } = await startEcho(t)
  for (const config of [true, false]) {
    const closed = once(wss, 'connection').then(async ([socket]) => await once(socket, 'close'))
    const proxy = await startProxy(t, config, {}, (socket, forwardIt) => {
      if (config) socket.close(4000)
      forwardIt()
      if (!config) socket.close(4000)
    })
    const client = dial(t, proxy, `ws://127.0.0.1:${port}/`)
    t.equal((await once(client, 'close'))[0], 4000)
    await closed
    t.pass(`the host is told, forward: ${config}`)
  }
})

t.test('a refusal that comes after the client was accepted is a code, and leaves no connection', async (t) => {
  const server = http.createServer((_request, response) => response.writeHead(401).end('Who are you'))
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno'))
  const sockets = new Set<object>()
  let closed = (): void => {}
  const left = new Promise<void>((resolve) => { closed = resolve })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => {
      sockets.delete(socket)
      closed()
    })
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const proxy = await startProxy(t, false)
  const client = dial(t, proxy, `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.strictSame((await once(client, 'close')).map(String), ['1014', 'the host answers 401'])
  await left
  t.equal(sockets.size, 0)
})
