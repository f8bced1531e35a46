/** `fastify.close()` with tunnels in every state: running requests are answered, the rest ends in time. */
import { once } from 'node:events'
import type net from 'node:net'
import { Readable } from 'node:stream'
import tls from 'node:tls'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import WebSocket from 'ws'
import { frame, OPENING, TYPE } from '../support/http2-frames'
import { create, start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { writeOnly } from '../support/raw'
import type { RawClient } from '../support/raw'
import { ask, h2, h2c, PROX, until } from './support'

/** What is held until a test releases it. */
class Gate {
  waiting = 0
  release = (): void => {}
  readonly #released = new Promise<void>((resolve) => { this.release = resolve })

  async pass (): Promise<void> {
    this.waiting++
    await this.#released
  }
}

function routes (gate: Gate): (app: FastifyInstance) => void {
  return (app) => {
    app.get('/p/*', async () => 'at once')
    for (const origin of ['http://held.test', 'https://held.test', 'http://held.test:8080']) {
      app.get(`/p/${origin.replaceAll(':', '::')}/late`, async () => await gate.pass().then(() => 'late'))
      app.get(`/p/${origin.replaceAll(':', '::')}/stream`, async () => Readable.from((async function * () {
        yield 'first '
        await gate.pass()
        yield 'last'
      })()))
    }
  }
}

const CLOSED_TUNNEL = /tunnel to \S+ closed/

t.test('closes at once without tunnels', async (t) => {
  const { app } = await create(t)
  await app.close()
  const { app: ready } = await create(t)
  await ready.ready()
  await ready.close()
  const { app: listening } = await start(t)
  await listening.close()
  const { app: after } = await start(t, { prox: PROX }, routes(new Gate()))
  await after.close()
  t.pass()
})

for (const fastify of [{}, { forceCloseConnections: true }]) {
  t.test(`running requests are answered ${JSON.stringify(fastify)}`, async (t) => {
    const gate = new Gate()
    const proxy = await start(t, { fastify, prox: PROX }, routes(gate))
    const plain = await proxy.tunnel('held.test:80')
    const secured = await proxy.tls('held.test:443')
    const session = await h2(t, proxy, 'held.test:443')
    const unsecured = await h2c(t, proxy, 'held.test:80')
    const answers = [
      plain.ask('GET', '/late'),
      secured.ask('GET', '/late'),
      (await proxy.tls('held.test:443')).ask('GET', '/stream'),
      ask(session, { ':path': '/late' }),
      ask(session, { ':path': '/stream' }),
      ask(unsecured, { ':path': '/late' })
    ]
    const idle = [await proxy.tunnel('idle.test:80'), await proxy.tls('idle.test:443')]
    for (const client of idle) await client.ask('GET', '/')
    const idleSession = await h2(t, proxy, 'idle.test:443')
    await ask(idleSession, { ':path': '/' })
    await until(() => gate.waiting === 6)

    const { connection } = proxy
    const closed = proxy.app.close()
    for (const client of idle) t.equal(await client.closed(), '', 'idle tunnels end at once')
    await once(idleSession, 'close')
    await t.rejects(proxy.connect('late.test:443', {}, connection), { code: 'ECONNREFUSED' })
    gate.release()
    const bodies = (await Promise.all(answers)).map(({ body }) => String(body))
    t.same(bodies, ['late', 'late', 'first last', 'late', 'first last', 'late'])
    await closed
    t.equal(proxy.log.count(CLOSED_TUNNEL), 8)
  })
}

t.test('ends what is left after the grace period', async (t) => {
  const gate = new Gate()
  const proxy = await start(t, { prox: { ...PROX, timeouts: { close: 100 } } }, routes(gate))
  const client = await proxy.tls('held.test:443')
  client.write('GET /late HTTP/1.1\r\nHost: held.test\r\n\r\n')
  const session = await h2(t, proxy, 'held.test:443')
  const stream = session.request({ ':path': '/stream' })
  stream.on('error', () => {})
  await once(stream, 'data')
  await until(() => gate.waiting === 2)
  await proxy.app.close()
  t.equal(await client.closed(), '')
  const codes = proxy.log.lines.filter(({ msg }) => CLOSED_TUNNEL.test(msg)).map(({ code }) => code)
  t.same(codes, ['PROXY_CLOSED', 'PROXY_CLOSED'])
  gate.release()
})

t.test('ends the connection of a CONNECT behind a request that it lets finish', async (t) => {
  const gate = new Gate()
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/wait', async () => await gate.pass().then(() => 'late'))
  })
  const client = await proxy.client()
  const other = await proxy.client()
  client.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n')
  other.write('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => gate.waiting === 2)
  const closed = proxy.app.close()
  gate.release()
  t.equal((await client.response()).status, 200)
  await client.closed()
  await closed
})

t.test('refuses a CONNECT that a hook holds, or ends its connection after the grace period', async (t) => {
  const gate = new Gate()
  const proxy = await start(t, { prox: { ...PROX, onConnect: async () => await gate.pass() } }, routes(new Gate()))
  const client = await proxy.client()
  client.write('CONNECT held.test:443 HTTP/1.1\r\nHost: held.test\r\n\r\n')
  await until(() => gate.waiting === 1)
  const closed = proxy.app.close()
  await until(() => !proxy.app.server.listening)
  gate.release()
  t.match(await client.response('CONNECT'), { status: 503, headers: { connection: 'close' }, body: /FST_PROX_CLOSING/ })
  await closed

  const never = { ...PROX, timeouts: { close: 50 }, onConnect: () => new Promise<void>(() => {}) }
  const stuck = await start(t, { prox: never }, routes(new Gate()))
  const waiting = await stuck.client()
  waiting.write('CONNECT held.test:443 HTTP/1.1\r\nHost: held.test\r\n\r\n')
  await stuck.log.next(/incoming request/)
  await stuck.app.close()
  t.equal(await waiting.closed(), '')
})

t.test('WebSockets get their closing handshake, whichever plugin came first', async (t) => {
  const setup = (app: FastifyInstance): void => {
    app.register(async (child) => {
      child.get('/p/*', { websocket: true }, (socket) => { socket.send('hello') })
    })
  }
  const proxy = await start(t, { prox: PROX }, async (app) => {
    await app.register(websocket)
    setup(app)
  })
  const tunnel = await proxy.tls('socket.test:443')
  const client = new WebSocket('wss://socket.test/', { createConnection: () => tunnel.detach().resume() as never })
  await once(client, 'message')
  const ended = once(client, 'close')
  await proxy.app.close()
  t.equal((await ended)[0], 1005, 'and not 1006')
})

/** A request that has not arrived whole. */
const HALF = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf'

/** What an HTTP/2 client says first, and HEADERS that do not end. */
const HALF_HTTP2 = Buffer.concat([OPENING, frame(TYPE.HEADERS, 1, 1, Buffer.from([0x82]))])

/** Opens tunnels, of every kind in turn. */
async function fill (t: Test, proxy: Proxy, gate: Gate, count: number): Promise<void> {
  const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const options = { ALPNProtocols: ['h2'] }
  const streaming = async (tunnel: RawClient, path: string): Promise<void> => tunnel.write(GET(path))
  const kinds: Array<() => Promise<unknown>> = [
    async () => await proxy.tunnel('silent.test:443'),
    async () => (await proxy.tunnel('preface.test:80')).write('PRI * HT'),
    async () => (await proxy.tunnel('hello.test:443')).write(Buffer.from([0x16, 3, 1, 2, 0, 1])),
    async () => {
      const socket = (await proxy.tunnel('half.test:443')).detach()
      const carrier = writeOnly(socket)
      tls.connect({ socket: carrier }).on('error', () => {})
    },
    async () => await proxy.tls('secured.test:443'),
    async () => await (await proxy.tls('idle.test:443')).ask('GET', '/'),
    async () => (await proxy.tls('head.test:443')).write('GET / HTTP/1.1\r\nHost'),
    async () => (await proxy.tunnel('upload.test:80')).write(HALF),
    async () => await streaming(await proxy.tls('held.test:443'), '/late'),
    async () => await streaming(await proxy.tunnel('held.test:80'), '/stream'),
    async () => await h2(t, proxy, 'silent.test:443'),
    async () => await ask(await h2(t, proxy, 'idle.test:443'), { ':path': '/' }),
    async () => await h2c(t, proxy, 'silent.test:80'),
    async () => (await h2(t, proxy, 'held.test:443')).request({ ':path': '/late' }).on('error', () => {}),
    async () => (await h2(t, proxy, 'held.test:443')).request({ ':path': '/stream' }).on('error', () => {}),
    async () => (await proxy.tls('raw.test:443', options)).write(HALF_HTTP2),
    async () => {
      const socket = (await proxy.tls('socket.test:443')).detach().resume()
      const client = new WebSocket('wss://socket.test/ws', { createConnection: () => socket as never })
      client.on('error', () => {})
      await once(client, 'open')
    },
    async () => {
      const socket = (await proxy.tunnel('socket.test:80')).detach().resume()
      const client = new WebSocket('ws://socket.test/ws', { createConnection: () => socket as never })
      client.on('error', () => {})
      await once(client, 'open')
      client.pause()
    },
    async () => (await proxy.client()).write('CONNECT pending.test:443 HTTP/1.1\r\nHost: a\r\n\r\n'),
    async () => {
      const connection = { ...proxy.connection, allowHalfOpen: true } as net.NetConnectOpts
      await proxy.connect('refused.test:443', {}, connection)
    }
  ]
  for (let i = 0; i < count; i++) await kinds[i % kinds.length]!()
  const each = Math.floor(count / kinds.length)
  await until(() => gate.waiting === 5 * each)
}

for (const fastify of [{}, { forceCloseConnections: true }, { https: true }, { https: true, http2: true }]) {
  t.test(`ends 500 tunnels of every kind ${JSON.stringify(fastify)}`, async (t) => {
    const gate = new Gate()
    const options = { ...fastify } as Record<string, unknown>
    let secure: tls.ConnectionOptions | undefined
    if (options.https === true) {
      const { app } = await create(t)
      const { key, cert } = await app.proxyCA.issue('127.0.0.1')
      options.https = { key, cert, allowHTTP1: true }
      secure = { ca: app.proxyCA.certificatePem }
    }
    const proxy = await start(t, {
      fastify: { ...options, logger: false },
      ...(secure && { secure }),
      prox: {
        ...PROX,
        timeouts: { close: 500 },
        onConnect: async ({ hostname }) => {
          if (hostname === 'refused.test') return 403
          if (hostname === 'pending.test') await gate.pass()
        }
      }
    }, async (app) => {
      await app.register(websocket)
      routes(gate)(app)
      app.register(async (child) => {
        for (const scheme of ['ws', 'wss']) child.get(`/p/${scheme}:://socket.test/ws`, { websocket: true }, () => {})
      })
    })
    const count = secure === undefined && fastify.forceCloseConnections === undefined ? 500 : 100
    await fill(t, proxy, gate, count)
    await proxy.app.close()
    t.equal(await proxy.connections(), 0)
    t.equal(proxy.log.count(CLOSED_TUNNEL), count / 20 * 18)
    gate.release()
  })
}
