import { once } from 'node:events'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import type { WebSocket } from 'ws'
import fastifyProx, { proxyAuthResolver } from '../../plugin/index'
import type { FastifyProxOptions, InjectProxyWSContext } from '../../plugin/index'
import { basic } from '../support/basic'
import { create } from '../support/proxy'

async function serve (t: Test, prox: FastifyProxOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyWebsocket, { options: { handleProtocols: (protocols) => [...protocols].at(-1) ?? false } })
  await app.register(fastifyProx, { resolver: '/prefix/', ca: { store: new Map() }, ...prox })
  app.addHook('onRequest', async ({ headers }, reply) => {
    if (headers.refuse !== undefined) await reply.code(403).send('no')
  })
  app.get('/*', { websocket: true }, (socket, { url, proxy, headers, ip, protocol }) => {
    socket.send(JSON.stringify({ url, proxy, headers, ip, protocol }))
    socket.on('message', (message) => socket.send(`echo ${String(message)}`))
  })
  return app
}

/** Opens a WebSocket, and gives its client's side and what the route tells of its request in the first message. */
async function open (app: FastifyInstance, url: string | URL, context?: InjectProxyWSContext) {
  let first: Promise<unknown>
  const onInit = (socket: WebSocket): void => { first = new Promise((resolve) => { socket.once('message', resolve) }) }
  const socket = await app.injectProxyWS(url, context, { onInit })
  return { socket, told: JSON.parse(String(await first!)) }
}

async function close (socket: WebSocket): Promise<void> {
  const closed = once(socket, 'close')
  socket.close()
  await closed
}

t.test('opens a WebSocket whose request is a proxied request', async (t) => {
  const app = await serve(t)
  for (const [url, asked] of [
    ['ws://example.com/a?b', 'http://example.com/a?b'], ['http://example.com:8080/', 'http://example.com:8080/'],
    ['wss://example.com/a?b', 'https://example.com/a?b'], [new URL('https://[::1]:8443/'), 'https://[::1]:8443/']
  ] as const) {
    const { socket, told } = await open(app, url)
    const { protocol, host } = new URL(asked)
    t.equal(told.url.replace('/ws', '/http'), `/prefix/${asked}`)
    t.equal(told.headers.host, host)
    t.equal(told.protocol, protocol.slice(0, -1))
    if (protocol === 'http:') t.equal(told.proxy.tunnel, null)
    else t.match(told.proxy.tunnel, { tlsVersion: 'TLSv1.3', remoteAddress: '127.0.0.1' })
    const answer = once(socket, 'message')
    socket.send('hello')
    t.equal(String((await answer)[0]), 'echo hello')
    await close(socket)
  }
})

t.test('has the header fields, the protocols and the address that it is given', async (t) => {
  const app = await serve(t)
  const headers = { cookie: 'a=b', 'sec-websocket-protocol': 'one, two' }
  const { socket, told } = await open(app, 'wss://example.com/', { headers, remoteAddress: '192.0.2.7' })
  t.equal(told.headers.cookie, 'a=b')
  t.equal(told.headers['sec-websocket-protocol'], 'one,two')
  t.equal(told.ip, '192.0.2.7')
  t.equal(socket.protocol, 'two')
  t.equal(socket.url, 'wss://example.com/')
  await close(socket)
})

t.test('calls onInit before anything is sent and onOpen when it is open', async (t) => {
  const app = await serve(t)
  const states: number[] = []
  const note = ({ readyState }: WebSocket): void => { states.push(readyState) }
  const socket = await app.injectProxyWS('ws://example.com/', {}, { onInit: note, onOpen: note })
  t.strictSame(states, [socket.CONNECTING, socket.OPEN])
  await close(socket)
})

t.test('large messages pass, and either side may close', async (t) => {
  const app = await serve(t)
  const { socket } = await open(app, 'wss://example.com/')
  const answer = once(socket, 'message')
  socket.send('x'.repeat(1_000_000))
  t.equal(String((await answer)[0]).length, 1_000_005)
  const closed = once(socket, 'close')
  for (const client of app.websocketServer.clients) client.close(4000, 'enough')
  const [code, reason] = await closed
  t.equal(code, 4000)
  t.equal(String(reason), 'enough')
  const { socket: other } = await open(app, 'ws://example.com/')
  const ended = once(other, 'close')
  for (const client of app.websocketServer.clients) client.terminate()
  t.equal((await ended)[0], 1006)
})

t.test('ends with the application', async (t) => {
  const app = await serve(t)
  const { socket } = await open(app, 'wss://example.com/')
  const closed = once(socket, 'close')
  await app.close()
  await closed
})

t.test('reaches proxy hosts', async (t) => {
  const app = await serve(t, {
    proxyApps: {
      'feed.example': async (feed: FastifyInstance) => {
        feed.get('/prices', { websocket: true }, (socket, { url }) => { socket.send(JSON.stringify({ url })) })
      }
    }
  })
  for (const scheme of ['ws', 'wss']) {
    const { socket, told } = await open(app, `${scheme}://feed.example/prices?a`)
    t.equal(told.url, '/prices?a')
    await close(socket)
  }
})

t.test('is asked for credentials, and rejects with every answer that is not 101', async (t) => {
  const app = await serve(t, { resolver: proxyAuthResolver() })
  const authorization = basic('jane:secret')
  for (const scheme of ['ws', 'wss']) {
    await t.rejects(app.injectProxyWS(`${scheme}://example.com/`), { message: 'Unexpected server response: 407' })
    const { socket, told } = await open(app, `${scheme}://example.com/`, { headers: authorization })
    t.match(told.url, /^\/jane\//)
    t.equal(told.proxy.username, 'jane')
    t.equal(told.headers['proxy-authorization'], undefined)
    await close(socket)
    const headers = { ...authorization, refuse: 'yes' }
    const refused = app.injectProxyWS(`${scheme}://example.com/`, { headers })
    await t.rejects(refused, { message: 'Unexpected server response: 403' })
  }
  await t.rejects(app.injectProxyWS('wss://a..b/'), { message: 'Unexpected server response: 400' })
})

t.test('needs @fastify/websocket, and the option websockets', async (t) => {
  const { app } = await create(t, {})
  const expected = { code: 'FST_PROX_NO_WEBSOCKETS', message: /^injectProxyWS\(\) needs @fastify\/websocket/ }
  await t.rejects(app.injectProxyWS('ws://example.com/'), expected)
  await t.rejects((await serve(t, { websockets: false })).injectProxyWS('ws://example.com/'), expected)
})

t.test('takes absolute URLs only, and says so', async (t) => {
  const app = await serve(t)
  const message = /option url takes an absolute URL with ws: or wss: or http: or https: and without credentials, got /
  const urls = ['/a', 'ftp://example.com/', new URL('ftp://example.com/'), 'wss://user@example.com/', undefined]
  for (const url of urls) {
    await t.rejects(app.injectProxyWS(url as string), { code: 'FST_PROX_INVALID_OPTION', message })
  }
})
