/** Tunnels that are streams of an HTTP/2 connection to the proxy (RFC 9113 8.5), as browsers open them. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { CertificateAuthority, proxyAuthResolver } from '../../plugin/index'
import { LOOPBACK, secure, start } from '../support/proxy'
import type { Proxy, ProxyOptions, Setup } from '../support/proxy'
import { basic } from '../support/basic'
import { jsonOf, RawClient } from '../support/raw'
import { ask, echo, h2Over, PROX, recorded, until } from './support'
import type { TunnelClosed } from '../../types/events'

const MEGABYTE = 2 ** 20

interface Connected {
  readonly stream: ClientHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly status: number
}

class Http2Proxy {
  readonly #t: Test
  readonly proxy: Proxy
  readonly session: ClientHttp2Session

  constructor (t: Test, proxy: Proxy, session: ClientHttp2Session) {
    this.#t = t
    this.proxy = proxy
    this.session = session
  }

  /** A CONNECT, whatever the answer. */
  async connect (authority: string, headers: http2.OutgoingHttpHeaders = {}): Promise<Connected> {
    const request = { ':method': 'CONNECT', ':authority': authority, ...headers }
    const stream = this.session.request(request, { endStream: false })
    stream.on('error', () => {})
    const [fields] = await once(stream, 'response') as [IncomingHttpHeaders & { ':status': number }]
    return { stream, headers: fields, status: fields[':status'] }
  }

  async tunnel (authority: string): Promise<ClientHttp2Stream> {
    const { stream, status } = await this.connect(authority)
    if (status !== 200) throw new Error(`CONNECT ${authority}: ${status}`)
    return stream
  }

  /** TLS in a tunnel, verified. */
  async tls (authority: string, protocol = 'http/1.1'): Promise<RawClient> {
    return await secure(this.#t, await this.tunnel(authority), authority, {
      ca: this.proxy.app.proxyCA.certificatePem, ALPNProtocols: [protocol]
    })
  }
}

async function startHttp2 (t: Test, options: ProxyOptions = {}, setup: Setup = echo): Promise<Http2Proxy> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const fastify = { http2: true, https: { key, cert, allowHTTP1: true }, ...options.fastify }
  const proxy = await start(t, { fastify, prox: { ...PROX, ca, ...options.prox } }, setup)
  const session = http2.connect(`https://localhost:${proxy.port}`, { ca: ca.certificatePem, host: LOOPBACK })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return new Http2Proxy(t, proxy, session)
}

t.test('requests of every kind come on one connection', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const http2Proxy = await startHttp2(t)
  const { proxy, session } = http2Proxy

  const https = await http2Proxy.tls('example.com:443')
  for (const path of ['/a', '/b']) {
    t.match(await jsonOf(https.ask('GET', path)), {
      url: `https://example.com${path}`,
      version: '1.1',
      ip: LOOPBACK,
      tunnel: { authority: 'example.com:443', alpn: 'http/1.1', remoteAddress: LOOPBACK }
    })
  }
  https.socket.end()
  t.match(await closed.next(), { requests: 2, reason: 'closed by the client' })

  const inner = h2Over(t, (await http2Proxy.tls('example.com:443', 'h2')).detach(), 'https://example.com')
  t.match((await ask(inner, { ':path': '/h2' })).json(), {
    url: 'https://example.com/h2',
    version: '2.0',
    ip: LOOPBACK,
    tunnel: { alpn: 'h2' }
  })
  const h2c = h2Over(t, await http2Proxy.tunnel('example.com:80'), 'http://example.com')
  t.match((await ask(h2c, { ':path': '/h2c' })).json(), { url: 'http://example.com/h2c', version: '2.0', ip: LOOPBACK })

  const plain = new RawClient(t, await http2Proxy.tunnel('example.com:8080'))
  const answer = await jsonOf(plain.ask('POST', '/plain', { 'content-type': 'text/plain' }, 'content'))
  t.match(answer, { url: 'http://example.com:8080/plain', body: 'content', ip: LOOPBACK })

  const absolute = { ':scheme': 'http', ':authority': 'example.com:8080', ':path': '/absolute?a=1' }
  t.match((await ask(session, absolute)).json(), {
    url: 'http://example.com:8080/absolute?a=1',
    scheme: 'http',
    host: 'example.com:8080',
    tunnel: null
  }, 'and no tunnel for an http: URL')
  const asterisk = { ':method': 'OPTIONS', ':scheme': 'http', ':authority': 'example.com', ':path': '*' }
  t.match((await ask(session, asterisk)).json(), { url: 'http://example.com/' })
  t.equal((await ask(session, { ':scheme': 'http', ':authority': 'example.com:99999', ':path': '/' })).status, 400)
  t.equal((await ask(session, { ':path': '/nowhere' })).status, 404, 'what is for this server goes to its routes')
  t.equal((await ask(session, { ':scheme': 'ftp', ':path': 'http://example.com/' })).status, 400, 'a URL is no path')
  t.same(proxy.log.messages('error'), [])
})

t.test('WebSockets work in its tunnels, with TLS and without', async (t) => {
  const http2Proxy = await startHttp2(t, {}, async (app) => {
    await app.register(websocket)
    app.register(async (child) => {
      child.get('/p/*', { websocket: true }, (socket, { proxy, ip }) => {
        socket.send(JSON.stringify({ url: proxy!.url, ip }))
        socket.on('message', (data) => socket.send(data))
      })
    })
  })
  const carriers: Record<string, () => Promise<Duplex>> = {
    'ws://example.com/a': async () => await http2Proxy.tunnel('example.com:80'),
    'wss://example.com/a': async () => (await http2Proxy.tls('example.com:443')).detach().resume()
  }
  for (const [url, open] of Object.entries(carriers)) {
    const carrier = await open()
    const client = new WebSocket(url.replace('wss:', 'ws:'), { createConnection: () => carrier as never })
    const [told] = await once(client, 'message')
    t.same(JSON.parse(String(told)), { url: url.replace('ws', 'http'), ip: LOOPBACK })
    client.send('there')
    t.equal(String((await once(client, 'message'))[0]), 'there')
    client.close()
    await once(client, 'close')
  }
})

t.test('a tunnel is refused by the stream of its CONNECT', async (t) => {
  const http2Proxy = await startHttp2(t, {
    prox: {
      onConnect: ({ hostname }) => hostname === 'refused.test' ? 403 : undefined,
      limits: { tunnelsPerClient: 1 }
    }
  })
  const refusals = [['refused.test:443', 403], ['example.com:0', 400], ['example.com', 400]] as const
  for (const [authority, status] of refusals) {
    const refused = await http2Proxy.connect(authority)
    t.equal(refused.status, status, authority)
    t.match(JSON.parse(Buffer.concat(await refused.stream.toArray()).toString()), { statusCode: status })
    await until(() => refused.stream.closed)
  }
  const open = await http2Proxy.connect('example.com:443')
  t.equal(open.status, 200)
  const over = await http2Proxy.connect('example.com:443')
  t.equal(over.status, 503)
  t.equal(over.headers['retry-after'], '5')
  open.stream.close()
  await http2Proxy.proxy.log.next(/tunnel to example.com:443 closed/)
  t.equal((await http2Proxy.connect('example.com:443')).status, 200, 'when the other one has gone')
})

t.test('a CONNECT is asked for credentials', async (t) => {
  const http2Proxy = await startHttp2(t, { prox: { resolver: proxyAuthResolver({ realm: 'here' }) } })
  const asked = await http2Proxy.connect('example.com:443')
  t.equal(asked.status, 407)
  t.equal(asked.headers['proxy-authenticate'], 'Basic realm="here", charset="UTF-8"')
  const { status } = await http2Proxy.connect('example.com:443', basic('me:secret'))
  t.equal(status, 200)
})

/** Reads a stream to its end, and lets it wait now and then. */
async function slowly (stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return Buffer.concat(chunks)
}

t.test('large bodies arrive whole, with a client and a route that take their time', async (t) => {
  const content = Buffer.alloc(20 * MEGABYTE, 'the same again and again ')
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  const type = 'application/octet-stream'
  const http2Proxy = await startHttp2(t, { fastify: { bodyLimit: content.length } }, (app) => {
    app.addContentTypeParser(type, async (_request: unknown, payload: AsyncIterable<Buffer>) => await slowly(payload))
    app.post('/p/*', async ({ body }, reply) => await reply.type(type).send(body))
  })
  const carriers: Array<() => Promise<Duplex>> = [
    async () => await http2Proxy.tunnel('example.com:80'),
    async () => (await http2Proxy.tls('example.com:443')).detach()
  ]
  for (const open of carriers) {
    const carrier = await open()
    carrier.write('POST / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n' +
      `Content-Type: ${type}\r\nContent-Length: ${content.length}\r\n\r\n`)
    carrier.write(content)
    const all = await slowly(carrier)
    carrier.end()
    t.equal(digest(all.subarray(all.indexOf('\r\n\r\n') + 4)), digest(content))
  }
})

t.test('a tunnel ends with its stream, by its limits and with its connection', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const http2Proxy = await startHttp2(t, { prox: { timeouts: { idle: 50, firstByte: 100 } } }, (app) => {
    app.get('/p/*', async () => await new Promise(() => {}))
    app.post('/p/*', async () => 'posted')
  })
  const { proxy, session } = http2Proxy

  const silent = await http2Proxy.tunnel('silent.test:443')
  await once(silent.resume(), 'close')
  t.match(await closed.next(), { authority: 'silent.test:443', reason: 'no first bytes in time' })

  const idle = new RawClient(t, await http2Proxy.tunnel('idle.test:80'))
  t.equal((await idle.ask('POST', '/')).body, 'posted')
  t.equal(await idle.closed(), '')
  idle.socket.end()
  t.match(await closed.next(), { authority: 'idle.test:80', reason: 'idle' })

  const late = await http2Proxy.tunnel('late.test:80')
  late.write('POST / HTTP/1.1\r\nHost: late.test\r\nConnection: close\r\n\r\n')
  t.match((await late.reduce((text: string, chunk) => text + String(chunk), '')), /^HTTP\/1.1 200 /)
  const lateEnd = once(late, 'close')
  late.end(Buffer.alloc(100_000, 'what nobody waits for'))
  await lateEnd
  t.match(await closed.next(), { authority: 'late.test:80', reason: 'closed by the client' })

  const reset = await http2Proxy.tunnel('reset.test:80')
  reset.write('GET / HTTP/1.1\r\nHost: reset.test\r\n\r\n')
  await proxy.log.next(/incoming request/)
  reset.close(http2.constants.NGHTTP2_INTERNAL_ERROR)
  t.match(await closed.next(), { authority: 'reset.test:80', reason: 'ECONNRESET' })

  const waiting = new RawClient(t, await http2Proxy.tunnel('gone.test:80'))
  waiting.write('GET / HTTP/1.1\r\nHost: gone.test\r\n\r\n')
  await http2Proxy.tunnel('early.test:443')
  session.destroy()
  const reasons = [await closed.next(), await closed.next()].map(({ authority }) => authority)
  t.same(reasons.sort(), ['early.test:443', 'gone.test:80'], 'with the connection, all of its tunnels')
  await until(async () => await proxy.connections() === 0)
})

t.test('fastify.close() ends tunnels and connections after its grace period', async (t) => {
  const http2Proxy = await startHttp2(t, { prox: { timeouts: { close: 100 } } }, (app) => {
    app.get('/p/*', async () => await new Promise(() => {}))
  })
  const running = await http2Proxy.tls('running.test:443')
  running.write('GET / HTTP/1.1\r\nHost: running.test\r\n\r\n')
  const unused = await http2Proxy.tunnel('unused.test:443')
  const ended = [once(unused.resume(), 'close'), once(http2Proxy.session, 'close')]
  await http2Proxy.proxy.app.close()
  await Promise.all(ended)
  t.equal(await running.closed(), '')
})

t.test('fastify.close() does not wait for a client that keeps its connection', async (t) => {
  const { proxy, session } = await startHttp2(t)
  const fields = { ':scheme': 'http', ':authority': 'example.com', ':path': '/' }
  t.equal((await ask(session, fields)).status, 200)
  const closed = once(session, 'close')
  // Fastify would end the connection after its http2SessionTimeout, 72 seconds.
  await Promise.all([proxy.app.close(), closed])
})
