/** Requests reach the proxy's routes by the listeners of a server, and by the hook for what comes past them. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerFactory } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx, { proxyAuthResolver } from '../../plugin/index'
import { knowsUpgradeCallback } from '../../plugin/compat/upgrade'
import { basic } from '../support/basic'
import { echo } from '../support/echo'
import { create, LOOPBACK, start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { connect, jsonOf } from '../support/raw'
import type { RawClient } from '../support/raw'
import { HANDSHAKE, HANDSHAKE_LINES } from '../support/websocket'

const PROX = { resolver: '/prefix/' }
const UPGRADE = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA' }
const TEXT = { 'content-type': 'text/plain' }

/** What `echo` answers with the URL of a request. */
function answerFrom (url: string): object {
  return { status: 200, body: new RegExp(`"url":"${url.replaceAll('.', '\\.')}"`) }
}

/** Absolute-form, a tunnel and a direct request are answered as they should be. */
async function serves (t: Test, proxy: Proxy): Promise<void> {
  const client = await proxy.client()
  for (let i = 0; i < 2; i++) {
    t.match(await client.ask('GET', 'http://example.com/a'), answerFrom('/prefix/http://example.com/a'))
    t.match(await client.ask('GET', 'http://example.com'), answerFrom('/prefix/http://example.com/'))
    const posted = await jsonOf(client.ask('POST', 'https://example.com/b', TEXT, 'content'))
    t.match(posted, { protocol: 'https', body: 'content' })
    t.match(await jsonOf(client.ask('GET', '/a')), { url: '/a', proxied: null })
  }
  const tunnel = await proxy.tls('example.com:443')
  t.match(await tunnel.ask('GET', '/a'), answerFrom('/prefix/https://example.com/a'))
}

/** A URL, and what `request.protocol` is for it. */
const PROTOCOLS = [
  ['http://example.com/', 'http'],
  ['https://example.com/', 'https'],
  ['https://app.test/', 'https'],
  ['ws://example.com/', 'http'],
  ['wss://example.com/', 'https'],
  ['/', 'http']
] as const

/** What is asked for by WebSocket, and its URL for a route. */
const SOCKETS = [
  ['ws://example.com/a?b', 'http://example.com/a?b'],
  ['http://Example.com:8080/', 'http://example.com:8080/'],
  ['wss://example.com/', 'https://example.com/'],
  ['https://example.com/', 'https://example.com/'],
  ['/socket', 'null']
] as const

t.test('a server of serverFactory', async (t) => {
  const counted = (app: FastifyInstance, counts: { hooks: number }): void => {
    app.addHook('onRequest', async ({ method }) => { if (method !== 'CONNECT') counts.hooks++ })
    echo(app)
  }

  t.test('works with the handler itself, or a function around it', async (t) => {
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

  t.test('works without a listener of its requests, and a warning tells of it', async (t) => {
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
      const resolver = proxyAuthResolver({ validate: async (username) => username === 'user' })
      const { app } = await create(t, { fastify: { serverFactory }, prox: { resolver } }, echo)
      await app.listen({ port: 0, host: LOOPBACK })
      app.server.on('request', handler!)
      const client = await connect(t, app.server.address() as { port: number })
      const refused = await client.ask('GET', 'http://example.com/')
      t.match(refused, { status: 407, headers: { 'proxy-authenticate': /^Basic/ } })
      const admitted = await client.ask('GET', 'http://example.com/', basic('user:'))
      t.match(admitted, { status: 200, body: /"url":"\/user\/http/ })
      t.match(await client.ask('GET', 'http://bad@example.com/'), { status: 400 })
    })
  })

  t.test('may be one that calls fastify.routing of another application', async (t) => {
    const proxy = await start(t, { prox: PROX }, echo)
    const outer: Server = createServer((request, response) => proxy.app.routing(request, response))
    t.teardown(() => outer.close())
    outer.listen(0, LOOPBACK)
    await once(outer, 'listening')
    const client = await connect(t, outer.address() as { port: number })
    t.match(await client.ask('GET', 'http://example.com/a'), answerFrom('/prefix/http://example.com/a'))
    t.match(await client.ask('GET', '/a'), answerFrom('/a'))
  })
})

t.test('request.protocol tells how the client asked', async (t) => {
  const seen: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  const inner: FastifyPluginAsync = async (child) => {
    child.addHook('onRequest', async ({ protocol }) => { seen.push(protocol) })
    echo(child)
  }
  await app.register(fastifyProx, { ...PROX, ca: { store: new Map() }, proxyApps: { 'app.test': inner } })
  app.addHook('onRequest', async ({ protocol, method }) => { if (method !== 'CONNECT') seen.push(protocol) })
  echo(app)
  await app.listen({ port: 0, host: LOOPBACK })
  const client = await connect(t, app.server.address() as { port: number })
  for (const [target, protocol] of PROTOCOLS) {
    t.match(await jsonOf(client.ask('GET', target)), { protocol })
    t.ok(seen.splice(0).every((seen) => seen === protocol), 'in hooks too')
  }
})

t.test('X-Forwarded fields', async (t) => {
  const proxy = await start(t, { fastify: { trustProxy: true }, prox: { resolver: '/' } }, (app) => {
    app.get('/*', async ({ ip, ips, protocol, host, hostname, port }) => ({ ip, ips, protocol, host, hostname, port }))
  })
  const forwarded = { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'ftp', 'x-forwarded-host': 'evil.test' }
  const get = (url: string, headers: Record<string, string> = forwarded) => jsonOf(proxy.get(url, headers))

  t.test('count for nothing in a tunnel, where only the client can have written them', async (t) => {
    t.strictSame(await get('https://example.com:8443/'), {
      ip: LOOPBACK,
      ips: [LOOPBACK],
      protocol: 'https',
      host: 'example.com:8443',
      hostname: 'example.com',
      port: 8_443
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
    const proxy = await start(t, { prox: PROX }, echo)
    const client = await proxy.client()
    const ask = (target: string, fields: Record<string, string>) => jsonOf(client.ask('GET', target, fields))
    t.match(await ask('http://example.com/', UPGRADE), { upgrade: null, proxied: 'http://example.com/' })
    t.match(await ask('/', UPGRADE), { upgrade: 'h2c', proxied: null })
    t.match(await ask('ws://example.com/', HANDSHAKE), { proxied: 'http://example.com/' })
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

  t.test('to WebSocket reach their routes', async (t) => {
    const proxy = await withWebSockets(t, true)
    for (const [target, url] of SOCKETS) {
      const client = await proxy.client()
      t.equal((await client.ask('GET', target, { ...HANDSHAKE, ...basic('a:b') })).status, 101)
      t.equal(await firstFrame(client), url)
    }
    const failed = await proxy.client()
    t.match(await failed.ask('GET', 'ws://user@example.com/', HANDSHAKE), { status: 400 })
  })

  t.test('to anything else are ignored, whatever the request', async (t) => {
    const proxy = await withWebSockets(t, true)
    const client = await proxy.client()
    const ask = (method: string, fields: Record<string, string>, body?: string) => {
      return jsonOf(client.ask(method, 'http://example.com/', fields, body))
    }
    const long = 'x'.repeat(100_000)
    for (let i = 0; i < 2; i++) {
      t.match(await ask('GET', UPGRADE), { upgrade: null, proxied: 'http://example.com/' })
      t.match(await ask('POST', { ...UPGRADE, ...TEXT }, long), { upgrade: null, body: long })
      const posted = await ask('POST', { ...HANDSHAKE, ...TEXT }, 'content')
      t.match(posted, { upgrade: null, body: 'content' }, 'WebSocket takes GET')
    }
    client.write('GET http://example.com/1 HTTP/1.1\r\nHost: a\r\nX-Latin: \xfc\r\n' +
      'Connection: upgrade\r\nUpgrade: h2c\r\n\r\n' +
      'GET http://example.com/2 HTTP/1.1\r\nHost: a\r\n\r\n')
    t.match(await jsonOf(client.response()), { proxied: 'http://example.com/1' })
    // Ends here where Node decides about upgrades itself (22 to 26): it drops what came together with an ignored one.
    if (knowsUpgradeCallback(proxy.app.server)) return
    t.match(await jsonOf(client.response()), { proxied: 'http://example.com/2' }, 'pipelined requests as well')
  })

  t.test('are ignored with websockets: false, but for direct requests', async (t) => {
    const proxy = await withWebSockets(t, false)
    const client = await proxy.client()
    const ignored = await jsonOf(client.ask('GET', 'ws://example.com/', HANDSHAKE))
    t.match(ignored, { upgrade: null, proxied: 'http://example.com/' })
    const tunnel = await proxy.tls('example.com:443')
    t.match(await jsonOf(tunnel.ask('GET', '/', HANDSHAKE)), { proxied: 'https://example.com/' })
    t.equal((await client.ask('GET', '/socket', HANDSHAKE)).status, 101)
    t.equal(await firstFrame(client), 'null')
  })

  t.test('of a client that resets the connection while the resolver thinks do no harm', async (t) => {
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
    const closed = once(proxy.app.server, 'connection').then(async ([socket]) => {
      await new Promise((resolve) => socket.once('close', resolve))
    })
    const client = await proxy.client()
    client.write(`GET ws://example.com/ HTTP/1.1\r\nHost: a\r\n${HANDSHAKE_LINES.join('\r\n')}\r\n\r\n`)
    await pending
    client.socket.resetAndDestroy()
    await closed
    answer!('/socket')
    t.equal((await proxy.get('http://fastify-prox/download/pem')).status, 200, 'the server lives')
  })
})

t.test('upgrades over TLS that nobody takes are ignored', async (t) => {
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const proxy = await start(t, {
    fastify: { https: { key, cert } },
    prox: { ...PROX, ca },
    secure: { ca: ca.certificatePem, servername: 'localhost' }
  }, async (app) => {
    await app.register(websocket)
    echo(app)
  })
  const client = await proxy.client()
  for (let i = 0; i < 2; i++) {
    const told = await jsonOf(client.ask('GET', 'http://example.com/', UPGRADE))
    t.match(told, { upgrade: null, proxied: 'http://example.com/', protocol: 'http' })
  }
})
