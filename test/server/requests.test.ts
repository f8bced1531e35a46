/** The doors by which requests come in: listeners of a server, and the hook for what comes past them. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerFactory } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx, { proxyAuthResolver } from '../../plugin/index'
import { knowsUpgradeCallback } from '../../plugin/compat/upgrade'
import { create, LOOPBACK, start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { connect } from '../support/raw'
import type { RawClient } from '../support/raw'
import { HANDSHAKE } from '../support/websocket'

const PROX = { resolver: '/prefix/' }
const UPGRADE = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA' }

function telling (app: FastifyInstance): void {
  app.all('/*', async ({ method, url, protocol, body, headers, proxy }) => ({ method, url, protocol, body: body ?? null, upgrade: headers.upgrade ?? null, proxied: proxy?.url ?? null }))
}

/** Absolute-form, a tunnel and a direct request are answered as they should be. */
async function serves (t: Test, proxy: Proxy): Promise<void> {
  const client = await proxy.client()
  for (let i = 0; i < 2; i++) {
    t.match(await client.ask('GET', 'http://example.com/a'), { status: 200, body: /"url":"\/prefix\/http:\/\/example\.com\/a"/ })
    t.match(await client.ask('GET', 'http://example.com'), { status: 200, body: /"url":"\/prefix\/http:\/\/example\.com\/"/ })
    t.match(await client.ask('POST', 'https://example.com/b', { 'content-type': 'text/plain' }, 'content'), { status: 200, body: /"protocol":"https","body":"content"/ })
    t.match(await client.ask('GET', '/a'), { status: 200, body: /"url":"\/a".*"proxied":null/ })
  }
  const tunnel = await proxy.tls('example.com:443')
  t.match(await tunnel.ask('GET', '/a'), { status: 200, body: /"url":"\/prefix\/https:\/\/example\.com\/a"/ })
}

t.test('serverFactory', async (t) => {
  const counted = (app: FastifyInstance, counts: { hooks: number }): void => {
    app.addHook('onRequest', async ({ method }) => { if (method !== 'CONNECT') counts.hooks++ })
    telling(app)
  }

  t.test('with the handler itself, or a function around it', async (t) => {
    const factories: FastifyServerFactory[] = [
      (handler) => createServer(handler),
      (handler) => createServer((request, response) => handler(request, response)),
      (handler) => createServer().on('request', handler),
      (handler) => createServer(handler).on('request', () => {})
    ]
    for (const serverFactory of factories) {
      const counts = { hooks: 0 }
      const proxy = await start(t, { fastify: { serverFactory }, prox: PROX }, (app) => counted(app, counts))
      await serves(t, proxy)
      t.equal(counts.hooks, 9, 'once per request')
      t.strictSame(proxy.log.messages('warn'), [])
    }
  })

  t.test('without a listener of its requests', async (t) => {
    const counts = { hooks: 0 }
    let handler: RequestListener | undefined
    const serverFactory: FastifyServerFactory = (given) => {
      handler = given
      return createServer()
    }
    const proxy = await start(t, { fastify: { serverFactory }, prox: PROX }, (app) => counted(app, counts))
    const [warning] = proxy.log.messages('warn')
    t.match(warning, /nothing of Fastify listens to the requests of this server \(option serverFactory\)/)
    proxy.app.server.on('request', (request, response) => handler!(request, response))
    await serves(t, proxy)
    t.equal(counts.hooks, 9, 'hooks after the plugin run once all the same')

    t.test('with a resolver that takes its time, one that fails, and a client that leaves', async (t) => {
      const { app } = await create(t, { fastify: { serverFactory }, prox: { resolver: proxyAuthResolver({ validate: async (username) => username === 'user' }) } }, telling)
      await app.listen({ port: 0, host: LOOPBACK })
      app.server.on('request', handler!)
      const client = await connect(t, app.server.address() as { port: number })
      t.match(await client.ask('GET', 'http://example.com/'), { status: 407, headers: { 'proxy-authenticate': /^Basic/ } })
      t.match(await client.ask('GET', 'http://example.com/', { 'proxy-authorization': `Basic ${Buffer.from('user:').toString('base64')}` }), { status: 200, body: /"url":"\/user\/http/ })
      t.match(await client.ask('GET', 'http://bad@example.com/'), { status: 400 })
    })
  })

  t.test('someone else\'s call of fastify.routing', async (t) => {
    const proxy = await start(t, { prox: PROX }, telling)
    const outer: Server = createServer((request, response) => proxy.app.routing(request, response))
    t.teardown(() => outer.close())
    outer.listen(0, LOOPBACK)
    await once(outer, 'listening')
    const client = await connect(t, outer.address() as { port: number })
    t.match(await client.ask('GET', 'http://example.com/a'), { status: 200, body: /"url":"\/prefix\/http:\/\/example\.com\/a"/ })
    t.match(await client.ask('GET', '/a'), { status: 200, body: /"url":"\/a"/ })
  })
})

t.test('request.protocol tells how the client asked', async (t) => {
  const seen: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(fastifyProx, { ...PROX, ca: { store: new Map() }, proxyApps: { 'app.test': async (app) => { app.addHook('onRequest', async ({ protocol }) => { seen.push(protocol) }); telling(app) } } })
  app.addHook('onRequest', async ({ protocol, method }) => { if (method !== 'CONNECT') seen.push(protocol) })
  telling(app)
  await app.listen({ port: 0, host: LOOPBACK })
  const client = await connect(t, app.server.address() as { port: number })
  for (const [target, protocol] of [['http://example.com/', 'http'], ['https://example.com/', 'https'], ['https://app.test/', 'https'], ['ws://example.com/', 'http'], ['wss://example.com/', 'https'], ['/', 'http']]) {
    t.match(JSON.parse((await client.ask('GET', target!)).body), { protocol })
    t.ok(seen.splice(0).every((seen) => seen === protocol), 'in hooks too')
  }
})

t.test('X-Forwarded fields', async (t) => {
  const proxy = await start(t, { fastify: { trustProxy: true }, prox: { resolver: '/' } }, (app) => {
    app.get('/*', async ({ ip, ips, protocol, host, hostname, port }) => ({ ip, ips, protocol, host, hostname, port }))
  })
  const forwarded = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'ftp', 'x-forwarded-host': 'evil.test' }
  const get = async (url: string, headers: Record<string, string> = forwarded): Promise<unknown> =>
    JSON.parse((await proxy.get(url, headers)).body)

  t.test('count for nothing in a tunnel, where only the client can have written them', async (t) => {
    t.strictSame(await get('https://example.com:8443/'), {
      ip: LOOPBACK, ips: [LOOPBACK], protocol: 'https', host: 'example.com:8443', hostname: 'example.com', port: 8_443
    })
  })

  t.test('are those of a front proxy in absolute-form, also where the client lists them as hop-by-hop', async (t) => {
    for (const connection of ['close', 'close, X-Forwarded-For']) {
      const told = await get('http://example.com/', { ...forwarded, connection })
      t.match(told, { ip: '192.0.2.1', ips: [LOOPBACK, '192.0.2.1'] }, connection)
    }
  })
})

t.test('upgrades', async (t) => {
  t.test('that nobody takes are ignored, as before', async (t) => {
    const proxy = await start(t, { prox: PROX }, telling)
    const client = await proxy.client()
    t.match(JSON.parse((await client.ask('GET', 'http://example.com/', UPGRADE)).body), { upgrade: null, proxied: 'http://example.com/' })
    t.match(JSON.parse((await client.ask('GET', '/', UPGRADE)).body), { upgrade: 'h2c', proxied: null })
    t.match(JSON.parse((await client.ask('GET', 'ws://example.com/', HANDSHAKE)).body), { proxied: 'http://example.com/' })
  })

  const withWebSockets = async (t: Test, websockets: boolean): Promise<Proxy> => {
    return await start(t, { prox: { ...PROX, websockets } }, async (app) => {
      await app.register(websocket)
      app.route({
        method: 'GET',
        url: '/prefix/*',
        handler: async ({ headers, proxy }) => ({ upgrade: headers.upgrade ?? null, proxied: proxy?.url }),
        wsHandler: (socket, { proxy }) => { socket.send(proxy!.url) }
      })
      app.post('/prefix/*', async ({ body, headers }) => ({ body, upgrade: headers.upgrade ?? null }))
      app.get('/socket', { websocket: true }, (socket, { proxy }) => { socket.send(String(proxy)) })
    })
  }
  const firstFrame = async (client: RawClient): Promise<string> => {
    const length = (await client.read(2)).charCodeAt(1)
    return await client.read(length)
  }

  t.test('to WebSocket', async (t) => {
    const proxy = await withWebSockets(t, true)
    for (const [target, url] of [
      ['ws://example.com/a?b', 'http://example.com/a?b'], ['http://Example.com:8080/', 'http://example.com:8080/'],
      ['wss://example.com/', 'https://example.com/'], ['https://example.com/', 'https://example.com/'], ['/socket', 'null']
    ]) {
      const client = await proxy.client()
      t.equal((await client.ask('GET', target!, { ...HANDSHAKE, 'proxy-authorization': 'Basic YTpi' })).status, 101)
      t.equal(await firstFrame(client), url)
    }
    const failed = await proxy.client()
    t.match(await failed.ask('GET', 'ws://user@example.com/', HANDSHAKE), { status: 400 })
  })

  t.test('to anything else are ignored, whatever the request', async (t) => {
    const proxy = await withWebSockets(t, true)
    const client = await proxy.client()
    for (let i = 0; i < 2; i++) {
      t.match(JSON.parse((await client.ask('GET', 'http://example.com/', UPGRADE)).body), { upgrade: null, proxied: 'http://example.com/' })
      t.match(JSON.parse((await client.ask('POST', 'http://example.com/', { ...UPGRADE, 'content-type': 'text/plain' }, 'x'.repeat(100_000))).body), { upgrade: null, body: 'x'.repeat(100_000) })
      t.match(JSON.parse((await client.ask('POST', 'http://example.com/', { ...HANDSHAKE, 'content-type': 'text/plain' }, 'content')).body), { upgrade: null, body: 'content' }, 'WebSocket takes GET')
    }
    client.write('GET http://example.com/1 HTTP/1.1\r\nHost: a\r\nX-Latin: \xfc\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nGET http://example.com/2 HTTP/1.1\r\nHost: a\r\n\r\n')
    t.match(JSON.parse((await client.response()).body), { proxied: 'http://example.com/1' })
    // Where Node decides about upgrades itself (22 to 26), it drops what came in the same piece as one that is ignored.
    if (knowsUpgradeCallback(proxy.app.server)) return
    t.match(JSON.parse((await client.response()).body), { proxied: 'http://example.com/2' }, 'pipelined requests as well')
  })

  t.test('are ignored with websockets: false, but for direct requests', async (t) => {
    const proxy = await withWebSockets(t, false)
    const client = await proxy.client()
    t.match(JSON.parse((await client.ask('GET', 'ws://example.com/', HANDSHAKE)).body), { upgrade: null, proxied: 'http://example.com/' })
    t.match(JSON.parse((await (await proxy.tls('example.com:443')).ask('GET', '/', HANDSHAKE)).body), { proxied: 'https://example.com/' })
    t.equal((await client.ask('GET', '/socket', HANDSHAKE)).status, 101)
    t.equal(await firstFrame(client), 'null')
  })

  t.test('of a client that resets the connection while the resolver thinks', async (t) => {
    let asked: (() => void) | undefined
    let answer: ((url: string) => void) | undefined
    const resolver = async (): Promise<string> => await new Promise((resolve) => {
      answer = resolve
      asked!()
    })
    const proxy = await start(t, { prox: { resolver } }, async (app) => {
      await app.register(websocket)
      app.get('/socket', { websocket: true }, () => { throw new Error('nobody is there') })
    })
    const pending = new Promise<void>((resolve) => { asked = resolve })
    const closed = once(proxy.app.server, 'connection').then(async ([socket]) => { await new Promise((resolve) => socket.once('close', resolve)) })
    const client = await proxy.client()
    client.write(`GET ws://example.com/ HTTP/1.1\r\nHost: a\r\n${Object.entries(HANDSHAKE).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    await pending
    client.socket.resetAndDestroy()
    await closed
    answer!('/socket')
    t.equal((await proxy.get('http://fastify-prox/download/pem')).status, 200, 'the server lives')
  })
})

t.test('upgrades over TLS', async (t) => {
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const proxy = await start(t, { fastify: { https: { key, cert } }, prox: { ...PROX, ca }, secure: { ca: ca.certificatePem, servername: 'localhost' } }, async (app) => {
    await app.register(websocket)
    telling(app)
  })
  const client = await proxy.client()
  for (let i = 0; i < 2; i++) t.match(JSON.parse((await client.ask('GET', 'http://example.com/', UPGRADE)).body), { upgrade: null, proxied: 'http://example.com/', protocol: 'http' })
})
