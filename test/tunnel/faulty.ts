/**
 * Clients that vanish at a moment and in a way.
 *
 *   const proxy = await startFaulty(t)
 *   await fault(proxy, 'half a head', 'RST')       one of MOMENTS, one of ENDS
 *   await serves(proxy)                            whether another client gets an answer
 */
import { EventEmitter, once } from 'node:events'
import type net from 'node:net'
import { Readable } from 'node:stream'
import tls from 'node:tls'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Log } from '../support/log'
import { Proxy, start } from '../support/proxy'
import { writeOnly } from '../support/raw'
import type { Owner, RawClient } from '../support/raw'
import { HANDSHAKE_LINES } from '../support/websocket'
import { h2, h2c, PROX } from './support'

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const UPGRADE = `GET /ws HTTP/1.1\r\nHost: a\r\n${HANDSHAKE_LINES.join('\r\n')}\r\n\r\n`
const HALF_A_BODY = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nContent-Type: text/plain\r\n\r\nhalf'
const NESTED = 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'

/** Emits `request` when one has come. */
const seen = new EventEmitter().setMaxListeners(0)

/** Routes that answer at once, never or without end. */
export async function routes (app: FastifyInstance): Promise<void> {
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
    for (const scheme of ['http', 'https']) {
      app.get(`/p/${scheme}:://fault.test/ws`, { websocket: true }, (socket) => { socket.on('error', () => {}) })
    }
  })
  app.addHook('onRequest', async ({ method, headers }) => {
    if (method !== 'CONNECT') return
    if (headers['x-slow'] !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
    if (headers['x-refuse'] !== undefined) throw Object.assign(new Error('refused'), { statusCode: 403 })
  })
}

type Moment = (proxy: FaultyProxy) => Promise<void>

/** How far a client gets before it vanishes. */
export const MOMENTS: Record<string, Moment> = {
  'half a CONNECT': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHo')
  },
  'before the answer': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\n\r\n')
  },
  'while a hook waits': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\nX-Slow: 1\r\n\r\n')
  },
  'while it is refused': async (proxy) => {
    const client = await proxy.client()
    client.write('CONNECT fault.test:443 HTTP/1.1\r\nHost: a\r\nX-Refuse: 1\r\n\r\n')
  },
  'after 200': async (proxy) => { await proxy.tunnel('fault.test:443') },
  garbage: async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    client.write('\0\x01\x02\x03')
  },
  'half a ClientHello': async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    client.write(Buffer.from([0x16, 3, 1, 2, 0, 1]))
  },
  'half a handshake': async (proxy) => {
    const client = await proxy.tunnel('fault.test:443')
    const carrier = writeOnly(client)
    tls.connect({ socket: carrier, servername: 'fault.test' }).on('error', () => {})
    await client.read(1)
  },
  'a certificate that is being minted': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:443')
    tls.connect({ socket, servername: `${Math.random().toString(36).slice(2)}.test` }).on('error', () => {})
    await new Promise((resolve) => setImmediate(resolve))
  },
  'a certificate that is refused': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:443')
    const client = tls.connect({ socket, servername: 'fault.test' })
    await once(client, 'error').catch(() => {})
  },
  'after the handshake': async (proxy) => { await proxy.tls('fault.test:443') },
  'half a head': async (proxy) => await wrote(await proxy.tls('fault.test:443'), 'GET / HTT'),
  'half a body': async (proxy) => await wrote(await proxy.tls('fault.test:443'), HALF_A_BODY),
  'a request that waits': async (proxy) => {
    await wrote(await proxy.tls('fault.test:443'), GET('/never'), seen, 'request')
  },
  'a response that streams': async (proxy) => {
    const client = await proxy.tls('fault.test:443')
    client.write(GET('/endless'))
    await client.read(10_000)
  },
  'a response in a plain tunnel': async (proxy) => {
    const client = await proxy.tunnel('fault.test:80')
    client.write(GET('/endless'))
    await client.read(10_000)
  },
  'a response that nobody reads': async (proxy) => {
    const { socket } = await proxy.tunnel('fault.test:80')
    socket.pause()
    socket.write(GET('/endless'))
    await beforeItEnds(socket, once(seen, 'request'))
  },
  'requests in a row': async (proxy) => {
    await wrote(await proxy.tunnel('fault.test:80'), GET('/never') + GET('/') + UPGRADE, seen, 'request')
  },
  'HTTP/2': async (proxy) => {
    const session = await h2(proxy.owner, proxy, 'fault.test:443')
    const stream = session.request({ ':path': '/endless' })
    stream.on('error', () => {})
    await beforeItEnds(proxy.sockets[0]!, once(stream, 'data'))
  },
  'HTTP/2 without TLS': async (proxy) => {
    const session = await h2c(proxy.owner, proxy, 'fault.test:80')
    session.request({ ':path': '/never' }).on('error', () => {})
    await beforeItEnds(proxy.sockets[0]!, once(seen, 'request'))
  },
  'a WebSocket': async (proxy) => {
    const client = await proxy.tls('fault.test:443')
    client.write(UPGRADE)
    await client.read(12)
  },
  'a nested CONNECT': async (proxy) => await wrote(await proxy.tunnel('fault.test:80'), NESTED)
}

async function wrote (client: RawClient, text: string, emitter?: EventEmitter, event = ''): Promise<void> {
  const arrived = emitter && once(emitter, event)
  client.write(text)
  if (arrived !== undefined) await beforeItEnds(client.socket, arrived)
}

/** Waits for an event, or for the end of a client that meets a limit before it. */
async function beforeItEnds (socket: EventEmitter, event: Promise<unknown>): Promise<void> {
  await Promise.race([event, once(socket, 'close')])
}

type End = (socket: net.Socket) => void

export const ENDS: Record<string, End> = {
  RST: (socket) => { socket.resetAndDestroy() },
  FIN: (socket) => { socket.destroy() },
  // Reads on: a client that is alive and does not read is slow, and no fault.
  'half-close': (socket) => { socket.end().resume() },
  // Stays connected and does nothing any more: it does not even close its side when the server has.
  silence: (socket) => { socket.resume() }
}

/** Moments after which a client may be silent for as long as it likes: it waits for an answer, or is slow to ask. */
const PATIENT = new Set([
  'half a body',
  'a request that waits',
  'a response that streams',
  'a response in a plain tunnel',
  'a response that nobody reads',
  'requests in a row',
  'HTTP/2',
  'HTTP/2 without TLS',
  'a WebSocket'
])

function endOf (moment: string, end: string): End {
  return ENDS[end === 'silence' && PATIENT.has(moment) ? 'RST' : end]!
}

/** Clients whose sockets the test can reset: `tls.connect({ socket })` hides the one underneath. */
export class FaultyProxy extends Proxy {
  readonly owner: Owner
  readonly sockets: net.Socket[] = []

  constructor (owner: Owner, app: FastifyInstance, log: Log) {
    super(owner, app, log)
    this.owner = owner
  }

  override async client (connection = this.connection): ReturnType<Proxy['client']> {
    const client = await super.client({ ...connection, allowHalfOpen: true } as net.NetConnectOpts)
    this.sockets.push(client.socket)
    return client
  }
}

export async function startFaulty (t: Test, fastify: object = {}): Promise<FaultyProxy> {
  const { app, log } = await start(t, {
    fastify: { http: { headersTimeout: 200, connectionsCheckingInterval: 50 }, ...fastify },
    // Keeps a small cache, which is full after the first clients and grows no more.
    prox: { ...PROX, ca: { store: new Map(), cacheSize: 10 }, timeouts: { firstByte: 200, handshake: 200, idle: 200 } }
  }, routes)
  return new FaultyProxy(t, app, log)
}

export async function fault (proxy: FaultyProxy, moment: string, end: string): Promise<void> {
  // Ignores errors: on a busy machine a client may meet a limit before its moment, which is a fault like any other.
  await MOMENTS[moment]!(proxy).catch(() => {})
  const [socket] = proxy.sockets
  if (socket !== undefined) endOf(moment, end)(socket)
}

/** Whether a good client gets an answer. On a busy machine it may meet a limit, as any client may, and asks again. */
export async function serves (proxy: Proxy): Promise<boolean> {
  for (let tries = 0; tries < 5; tries++) {
    const response = await proxy.get('https://good.test/').catch(() => null)
    if (response?.status === 200) return true
  }
  return false
}
