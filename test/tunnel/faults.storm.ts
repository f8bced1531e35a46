/** Clients that vanish at any moment: the process serves on, and nothing of them is left. */
import { EventEmitter, once } from 'node:events'
import type net from 'node:net'
import { Duplex, Readable } from 'node:stream'
import tls from 'node:tls'
import v8 from 'node:v8'
import vm from 'node:vm'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { Proxy, start } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { h2, h2c, PROX, recorded, until } from './support'
import type { TunnelClosed, TunnelEvent } from '../../plugin/tunnel/events'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

/** Tells a test that a request has come. */
const seen = new EventEmitter()

async function routes (app: FastifyInstance): Promise<void> {
  await app.register(websocket)
  app.register(async (app) => {
    app.get('/p/*', async (request, reply) => {
      const { url } = request.proxy!
      seen.emit('request')
      if (url.endsWith('/never')) return await new Promise(() => {})
      if (url.endsWith('/endless')) return new Readable({ read () { this.push(Buffer.alloc(10_000)) } })
      return await reply.send('at once')
    })
    app.post('/p/*', async () => 'posted')
    for (const scheme of ['ws', 'wss']) {
      app.get(`/p/${scheme}:://fault.test/ws`, { websocket: true }, (socket) => { socket.on('error', () => {}) })
    }
  })
  app.addHook('onRequest', async ({ method, headers }) => {
    if (method === 'CONNECT' && headers['x-slow'] !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
    if (method === 'CONNECT' && headers['x-refuse'] !== undefined) throw Object.assign(new Error('refused'), { statusCode: 403 })
  })
}

type Moment = (proxy: Proxy) => Promise<Duplex>

/** How far a client gets before it vanishes. */
const MOMENTS: Record<string, Moment> = {
  'half a CONNECT': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHo')
    return client.socket
  },
  'before the answer': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\n\r\n')
    return client.socket
  },
  'while a hook waits': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\nX-Slow: 1\r\n\r\n')
    return client.socket
  },
  'while it is refused': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\n\r\n')
    return client.socket
  },
  'after 200': async (proxy) => (await proxy.tunnel('fault.test:443')).socket,
  garbage: async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    client.write('\0\x01\x02\x03')
    return client.socket
  },
  'half a ClientHello': async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    client.write(Buffer.from([0x16, 3, 1, 2, 0, 1]))
    return client.socket
  },
  'half a handshake': async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    const carrier = new Duplex({ read () {}, write (bytes, _encoding, done) { client.write(bytes); done() } })
    tls.connect({ socket: carrier, servername: 'fault.test' }).on('error', () => {})
    await client.read(1)
    return client.socket
  },
  'a certificate that is being minted': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:443')
    tls.connect({ socket, servername: `${Math.random().toString(36).slice(2)}.test` }).on('error', () => {})
    await new Promise((resolve) => setImmediate(resolve))
    return socket
  },
  'a certificate that is refused': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:443')
    const client = tls.connect({ socket, servername: 'fault.test' })
    await once(client, 'error').catch(() => {})
    return socket
  },
  'after the handshake': async (proxy) => (await proxy.tls('fault.test:443')).socket,
  'half a head': async (proxy) => await wrote(await proxy.tls('fault.test:443'), 'GET / HTT'),
  'half a body': async (proxy) => await wrote(await proxy.tls('fault.test:443'), 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nContent-Type: text/plain\r\n\r\nhalf'),
  'a request that waits': async (proxy) => await wrote(await proxy.tls('fault.test:443'), GET('/never'), seen, 'request'),
  'a response that streams': async (proxy) => {
    const client = await proxy.tls('fault.test:443')
    client.write(GET('/endless'))
    await client.read(10_000)
    return client.socket
  },
  'a response in a plain tunnel': async (proxy) => {
    const client = await proxy.tunnel('fault.test:80')
    client.write(GET('/endless'))
    await client.read(10_000)
    return client.socket
  },
  'a response that nobody reads': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:80')
    socket.pause()
    socket.write(GET('/endless'))
    await once(seen, 'request')
    return socket
  },
  'requests in a row': async (proxy) => await wrote(await proxy.tunnel('fault.test:80'), GET('/never') + GET('/') + UPGRADE, seen, 'request'),
  'HTTP/2': async (proxy) => {
    const session = await h2(t, proxy, 'fault.test:443')
    const stream = session.request({ ':path': '/endless' })
    stream.on('error', () => {})
    await once(stream, 'data')
    return session.socket
  },
  'HTTP/2 without TLS': async (proxy) => {
    const session = await h2c(t, proxy, 'fault.test:80')
    session.request({ ':path': '/never' }).on('error', () => {})
    await once(seen, 'request')
    return session.socket
  },
  'a WebSocket': async (proxy) => {
    const client = await proxy.tls('fault.test:443')
    client.write(UPGRADE)
    await client.read(12)
    return client.socket
  },
  'a nested CONNECT': async (proxy) => await wrote(await proxy.tunnel('fault.test:80'), 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n')
}

async function wrote (client: RawClient, text: string, emitter?: EventEmitter, event = ''): Promise<Duplex> {
  const arrived = emitter && once(emitter, event)
  client.write(text)
  await arrived
  return client.socket
}

const ENDS: Record<string, (socket: net.Socket) => void> = {
  RST: (socket) => { socket.resetAndDestroy() },
  FIN: (socket) => { socket.destroy() },
  // It reads on: a client that is alive and does not read is slow, and no fault.
  'half-close': (socket) => { socket.end().resume() }
}

/** Clients whose sockets the test can reset: `tls.connect({ socket })` hides the one underneath. */
class FaultyProxy extends Proxy {
  readonly sockets: net.Socket[] = []

  override async client (...args: Parameters<Proxy['client']>): ReturnType<Proxy['client']> {
    const client = await super.client(...args)
    client.socket.on('error', () => {})
    this.sockets.push(client.socket)
    return client
  }
}

async function connections (proxy: Proxy): Promise<number> {
  return await new Promise((resolve) => proxy.app.server.getConnections((_err, count) => resolve(count)))
}

async function startFaulty (t: Test): Promise<FaultyProxy> {
  const timeouts = { firstByte: 200, handshake: 200, idle: 200 }
  const { app, log } = await start(t, { fastify: { http: { headersTimeout: 200, connectionsCheckingInterval: 50 } }, prox: { ...PROX, timeouts } }, routes)
  return new FaultyProxy(t, app, log)
}

async function fault (proxy: FaultyProxy, moment: Moment, end: (socket: net.Socket) => void): Promise<void> {
  // On a busy machine a client may meet a limit before its moment; that is a fault like any other.
  await moment(proxy).catch(() => {})
  end(proxy.sockets.pop()!)
}

for (const [name, end] of Object.entries(ENDS)) {
  t.test(name, async (t) => {
    const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
    const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
    const proxy = await startFaulty(t)
    for (const [moment, reach] of Object.entries(MOMENTS)) {
      await fault(proxy, reach, end)
      await until(async () => await connections(proxy) === 0 && opened.messages.length === closed.messages.length)
      t.equal((await proxy.get('https://good.test/')).status, 200, moment)
      await until(async () => await connections(proxy) === 0 && opened.messages.length === closed.messages.length)
    }
    const ids = closed.messages.map(({ id }) => id)
    t.equal(new Set(ids).size, ids.length, 'each tunnel ends once')
    t.equal(proxy.log.count(/^tunnel to \S+ closed/), ids.length, 'and one line says so')
    t.same(proxy.log.messages('error'), [])
  })
}

/** What keeps a process busy: sockets, timers and the like. */
function resources (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

t.test('storms of 500', async (t) => {
  v8.setFlagsFromString('--expose-gc')
  const collectGarbage = vm.runInNewContext('gc') as () => void
  const closed = { count: 0 }
  const opened = { count: 0 }
  const { subscribe, unsubscribe } = await import('node:diagnostics_channel')
  const count = (counter: { count: number }) => (): void => { counter.count++ }
  const channels = [['fastify-prox:tunnel:opened', count(opened)], ['fastify-prox:tunnel:closed', count(closed)]] as const
  for (const [channel, listener] of channels) subscribe(channel, listener)
  t.teardown(() => channels.map(([channel, listener]) => unsubscribe(channel, listener)))

  const timeouts = { firstByte: 200, handshake: 200, idle: 200 }
  // The log of the test would grow with every client.
  const { app, log } = await start(t, { fastify: { loggerInstance: undefined, http: { headersTimeout: 200, connectionsCheckingInterval: 50 } }, prox: { ...PROX, timeouts } }, routes)
  const moments = Object.values(MOMENTS)
  const ends = Object.values(ENDS)
  const heap: number[] = []

  const listeners = (): number[] => ['request', 'connect', 'upgrade', 'clientError', 'close', 'error'].map((event) => app.server.listenerCount(event))
  const storm = async (): Promise<void> => {
    await t.test('storm', async (t) => {
      const proxy = new FaultyProxy(t, app, log)
      for (let i = 0; i < 500;) {
        // In waves, and each client at a moment of its own.
        const wave: Array<Promise<void>> = []
        for (let j = 0; j < 25; j++, i++) {
          const one = new FaultyProxy(t, app, log)
          wave.push(fault(one, moments[i % moments.length]!, ends[i % ends.length]!))
        }
        await Promise.all(wave)
      }
      await until(async () => await connections(proxy) === 0 && opened.count === closed.count)
      t.equal((await proxy.get('https://good.test/')).status, 200)
    })
    await until(async () => await connections(new Proxy(t, app, log)) === 0 && opened.count === closed.count)
  }
  await storm()
  const before = { resources: resources(), listeners: listeners() }
  for (let i = 0; i < 3; i++) {
    await storm()
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
    heap.push(process.memoryUsage().heapUsed)
  }
  const after = resources()
  for (const name of ['TCPSocketWrap', 'TCPServerWrap', 'TLSWrap']) t.equal(after[name], before.resources[name], name)
  await until(() => (resources().Timeout ?? 0) <= (before.resources.Timeout ?? 0))
  t.pass('timers')
  t.same(listeners(), before.listeners)
  t.ok(heap[2]! - heap[0]! < 2_000_000, `heap after each storm: ${heap.map((bytes) => (bytes / 1e6).toFixed(1)).join(', ')} MB`)
})

t.test('errors of TLS after the handshake', async (t) => {
  const intercepted = recorded(t, 'tunnel:intercepted')
  const proxy = await startFaulty(t)
  const socket = (await proxy.tunnel('fault.test:443')).detach()
  const client = tls.connect({ socket, servername: 'fault.test', ca: proxy.app.proxyCA.certificatePem })
  await once(client, 'secureConnect')
  client.on('error', () => {})
  await intercepted.next()
  // Behind the back of the client's TLS: a record that nobody can decrypt.
  ;(socket as unknown as { _handle: { writeLatin1String (request: object, text: string): void } | null })._handle?.writeLatin1String({ oncomplete () {} }, '\x17\x03\x03\x00\x20'.padEnd(37, 'x'))
  t.match(await proxy.log.next(/tunnel to fault.test:443 closed/), { level: 'debug', reason: /^ERR_SSL_/ })
})
