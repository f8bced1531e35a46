/** HTTP/2 inside tunnels: negotiated by ALPN, and with prior knowledge where there is no TLS. */
import { once } from 'node:events'
import http2 from 'node:http2'
import type { IncomingHttpHeaders } from 'node:http2'
import type { NetConnectOpts } from 'node:net'
import { Readable } from 'node:stream'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { ask, echo, h2, h2c, PROX, recorded, until } from './support'
import type { TunnelClosed } from '../../types/events'

const MEGABYTE = 2 ** 20
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = http2.constants

const [DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, CONTINUATION] = [0, 1, 3, 4, 7, 9]
const [END_STREAM, END_HEADERS] = [1, 4]
/** `GET /` for `example.com` by either scheme, as HPACK has it (RFC 7541). */
const [REQUEST, PLAIN_REQUEST] = [0x87, 0x86].map((scheme) => {
  return Buffer.concat([Buffer.from([0x82, 0x84, scheme, 0x41, 11]), Buffer.from('example.com')])
}) as [Buffer, Buffer]
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, Buffer.alloc(0))])

function frame (type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}

/** A client of HTTP/2 that does nothing by itself: it has sent its preface. */
async function rawH2 (proxy: Proxy): Promise<RawClient> {
  const client = await proxy.tls('example.com:443', { ALPNProtocols: ['h2'] })
  client.write(PREFACE)
  return client
}

/** The next frame of a type. */
async function nextFrame (client: RawClient, type: number): Promise<Buffer> {
  for (;;) {
    const header = Buffer.from(await client.read(9), 'latin1')
    const payload = Buffer.from(await client.read(header.readUIntBE(0, 3)), 'latin1')
    if (header[3] === type) return payload
  }
}

t.test('requests and what the application knows of them', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  await once(session, 'remoteSettings')
  t.equal(session.remoteSettings.enableConnectProtocol, false, 'extended CONNECT is not advertised')
  t.equal(session.remoteSettings.maxConcurrentStreams, 128)

  const first = await ask(session, { ':path': '/a?b=c' })
  t.equal(first.status, 200)
  t.match(first.json(), {
    url: 'https://example.com/a?b=c',
    host: 'example.com',
    hostname: 'example.com',
    version: '2.0',
    tunnel: { authority: 'example.com:443', alpn: 'h2', tlsVersion: 'TLSv1.3', servername: 'example.com' }
  })
  const post = await ask(session, { ':path': '/a', ':method': 'POST', 'content-type': 'application/json' }, '{"answer":42}')
  t.same(post.json().body, { answer: 42 })
  t.equal((await ask(session, { ':path': '/a', ':method': 'HEAD' })).body.length, 0)
})

t.test('the authority of a request', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'www.example.com:443')
  const url = async (authority: string): Promise<unknown> => {
    const answer = await ask(session, { ':path': '/', ':authority': authority })
    return answer.status === 200 ? [answer.json().url, answer.json().host] : answer.status
  }
  t.same(await url('www.example.com'), ['https://www.example.com/', 'www.example.com'])
  t.same(await url('www.example.com:443'), ['https://www.example.com/', 'www.example.com'], 'no default port')
  t.same(await url('WWW.Example.com'), ['https://www.example.com/', 'www.example.com'])
  t.same(await url('api.example.com'), ['https://api.example.com/', 'api.example.com'], 'covered by the certificate')
  t.same(await url('example.com'), ['https://example.com/', 'example.com'])
  t.equal(await url('www.example.com:8443'), 421, 'another port than that of the CONNECT')
  t.equal(await url('example.org'), 421)
  t.equal(await url('a.b.example.com'), 421, 'a wildcard is for one label')
  t.equal(await url('a..example.com'), 400)
  // Newer versions of Node end the stream themselves.
  t.match(await url('user@example.com').catch(({ code }) => code), /^(?:400|ERR_HTTP2_STREAM_ERROR)$/)
  t.match((await ask(session, { ':path': '/', ':authority': 'example.org' })).json(), { code: 'FST_PROX_MISDIRECTED' })
  t.equal((await ask(session, { ':path': '/', host: 'api.example.com' })).json().url, 'https://api.example.com/', 'the Host field in its place')
  t.equal((await ask(session, { ':path': '*', ':method': 'OPTIONS' })).json().url, 'https://www.example.com/')

  const exact = await start(t, { prox: { ...PROX, ca: { store: new Map(), wildcards: false } } }, echo)
  const strict = await h2(t, exact, 'www.example.com:443')
  t.equal((await ask(strict, { ':path': '/', ':authority': 'api.example.com' })).status, 421)
})

t.test('another port than the default', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:8443')
  t.match((await ask(session, { ':path': '/' })).json(), { url: 'https://example.com:8443/', host: 'example.com:8443' })
})

t.test('big bodies, up and down', async (t) => {
  const chunk = Buffer.alloc(MEGABYTE, 'x')
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    app.post<{ Body: Readable }>('/p/*', { bodyLimit: 100 * MEGABYTE }, async ({ body }) => {
      let length = 0
      for await (const bytes of body) length += bytes.length
      return { length }
    })
    app.get('/p/*', async () => Readable.from((function * () { for (let i = 0; i < 50; i++) yield chunk })()))
  })
  const session = await h2(t, proxy, 'example.com:443')
  const upload = session.request({ ':path': '/', ':method': 'POST', 'content-type': 'application/octet-stream' })
  Readable.from((function * () { for (let i = 0; i < 50; i++) yield chunk })()).pipe(upload)
  t.same(JSON.parse(Buffer.concat(await upload.toArray()).toString()), { length: 50 * MEGABYTE })

  const download = session.request({ ':path': '/' })
  let length = 0
  for await (const bytes of download) length += bytes.length
  t.equal(length, 50 * MEGABYTE)
})

t.test('100 streams at a time, and one more than are allowed', async (t) => {
  let running = 0
  let most = 0
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/*', async (request) => {
      most = Math.max(most, ++running)
      await released
      running--
      return request.proxy!.url
    })
  })
  const session = await h2(t, proxy, 'example.com:443')
  await once(session, 'remoteSettings')
  const answers = Array.from({ length: 129 }, (_, i) => ask(session, { ':path': `/${i}` }))
  await until(() => running === 128)
  release()
  t.same((await Promise.all(answers)).map(({ body }) => body.toString()), Array.from({ length: 129 }, (_, i) => `https://example.com/${i}`))
  t.equal(most, 128)
})

t.test('streams that are aborted, by either side', async (t) => {
  const aborted: unknown[] = []
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/https://example.com/endless', async (request) => {
      request.raw.on('aborted', () => aborted.push(request.proxy!.url))
      return new Readable({ read () { this.push(Buffer.alloc(1_000)) } })
    })
    app.get('/p/https://example.com/broken', async () => new Readable({ read () { this.push('x'); this.destroy(new Error('broken')) } }))
    app.get('/p/https://example.com/whole', async () => 'whole')
  })
  const session = await h2(t, proxy, 'example.com:443')
  const endless = session.request({ ':path': '/endless' })
  await once(endless, 'data')
  endless.close(NGHTTP2_CANCEL)
  await until(() => aborted.length === 1)

  const broken = session.request({ ':path': '/broken' })
  broken.on('error', () => {}).resume()
  await once(broken, 'close').catch(() => {})
  t.equal((await ask(session, { ':path': '/whole' })).body.toString(), 'whole', 'the session goes on')
})

t.test('trailers, both ways', { skip: OLDEST && 'Fastify 5.0.0 sends no trailers over HTTP/2' }, async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.post('/p/*', async ({ raw, body }, reply) => {
      reply.trailer('x-sum', async () => '6')
      reply.header('x-got', String(raw.trailers['x-count']))
      return body
    })
  })
  const session = await h2(t, proxy, 'example.com:443')
  const stream = session.request({ ':path': '/', ':method': 'POST', 'content-type': 'text/plain' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-count': '3' }))
  stream.end('abc')
  const [fields] = await once(stream, 'response') as [IncomingHttpHeaders]
  t.equal(fields['x-got'], '3')
  const trailers = once(stream, 'trailers')
  t.equal(Buffer.concat(await stream.toArray()).toString(), 'abc')
  t.match((await trailers)[0], { 'x-sum': '6' })
})

t.test('prior knowledge in a tunnel without TLS', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2c(t, proxy, 'example.com:80')
  t.match((await ask(session, { ':path': '/a' })).json(), { url: 'http://example.com/a', version: '2.0', tunnel: { alpn: null, tlsVersion: null } })
  t.equal((await ask(session, { ':path': '/a', ':authority': 'example.org' })).status, 421)
})

t.test('http2: false', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, http2: false } }, echo)
  const client = await proxy.tls('example.com:443', { ALPNProtocols: ['h2', 'http/1.1'] })
  t.equal(client.socket.alpnProtocol, 'http/1.1')
  t.match(JSON.parse((await client.ask('GET', '/')).body), { version: '1.1', tunnel: { alpn: 'http/1.1' } })
  await t.rejects(proxy.tls('example.com:443', { ALPNProtocols: ['h2'] }), { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' })

  const plain = await proxy.tunnel('example.com:80')
  plain.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  t.equal(await plain.closed(), '')
  t.match(await proxy.log.next(/tunnel to example.com:80 closed/), { level: 'info', code: 'HTTP2_DISABLED' })
})

t.test('CONNECT inside a tunnel', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.org:443' })
  const [fields] = await once(stream, 'response')
  t.equal(fields[':status'], 405)
  t.match(await proxy.log.next(/CONNECT inside/), { level: 'info', msg: 'tunnel to example.com:443: CONNECT inside a tunnel refused' })
  stream.close()

  const extended = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':scheme': 'https', ':authority': 'example.com' })
  await t.rejects(once(extended, 'response'), { code: 'ERR_HTTP2_STREAM_ERROR' })
  t.equal(extended.rstCode, NGHTTP2_PROTOCOL_ERROR)
})

t.test('header sections that are too large', async (t) => {
  const proxy = await start(t, { fastify: { http: { maxHeaderSize: 1_024 } }, prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(session, { ':path': '/', 'x-large': 'x'.repeat(1_024) })).status, 431)
  t.equal((await ask(session, { ':path': '/', 'x-large': 'x'.repeat(900) })).status, 200, 'the session goes on')
})

t.test('maxRequestsPerSocket', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const proxy = await start(t, { fastify: { maxRequestsPerSocket: 2 }, prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(session, { ':path': '/1' })).status, 200)
  const goaway = once(session, 'goaway')
  t.equal((await ask(session, { ':path': '/2' })).status, 200)
  t.equal((await goaway)[0], NGHTTP2_NO_ERROR)
  t.equal((await closed.next()).requests, 2)
})

t.test('requestTimeout is for requests', async (t) => {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const proxy = await start(t, { fastify: { requestTimeout: 100 }, prox: PROX }, (app) => {
    app.get('/p/*', async () => await released.then(() => 'late'))
    app.post('/p/*', async () => 'whole')
    app.put('/p/*', (_request, reply) => { reply.hijack().raw.write('begun') })
    app.addContentTypeParser('application/unread', (_request, _payload, done) => done(null))
    app.patch('/p/*', async () => await released.then(() => 'late'))
  })
  const session = await h2(t, proxy, 'example.com:443')
  const late = ask(session, { ':path': '/' })
  const unread = ask(session, { ':path': '/', ':method': 'PATCH', 'content-type': 'application/unread' }, 'content')

  const stuck = session.request({ ':path': '/', ':method': 'POST', 'content-type': 'text/plain' })
  stuck.on('error', () => {}).write('half of it')
  t.match(await once(stuck, 'response'), [{ ':status': 408 }])
  await once(stuck.resume(), 'close')

  const begun = session.request({ ':path': '/', ':method': 'PUT', 'content-type': 'application/unread' }, { endStream: false })
  begun.on('error', () => {}).write('half of it')
  t.match(await once(begun, 'response'), [{ ':status': 200 }])
  await once(begun.resume(), 'close')
  t.equal(begun.rstCode, NGHTTP2_CANCEL)

  release()
  t.equal((await late).body.toString(), 'late', 'a response may take longer')
  t.equal((await unread).body.toString(), 'late', 'whether its request was read or not')
  t.equal((await ask(session, { ':path': '/', ':method': 'POST', 'content-type': 'text/plain' }, 'x')).body.toString(), 'whole')
})

t.test('half a header section', async (t) => {
  const proxy = await start(t, { fastify: { http: { headersTimeout: 100, connectionsCheckingInterval: 10 } }, prox: PROX }, echo)
  const other = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(other, { ':path': '/' })).status, 200)
  const client = await rawH2(proxy)
  // HEADERS without END_HEADERS, and then CONTINUATION without end.
  client.write(frame(HEADERS, END_STREAM, 1, Buffer.from([0x82])))
  const drip = setInterval(() => client.write(frame(CONTINUATION, 0, 1, Buffer.from('0001610162', 'hex'))), 20)
  t.teardown(() => clearInterval(drip))
  await client.closed()
  t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { requests: 0 })
  t.equal((await ask(other, { ':path': '/' })).status, 200, 'a session without fault goes on')
})

t.test('requests that are taken back at once', async (t) => {
  let requests = 0
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/*', async () => ++requests)
  })
  const client = await proxy.tunnel('example.com:80')
  const reset = Buffer.alloc(4)
  reset.writeUInt32BE(NGHTTP2_CANCEL)
  const frames = Array.from({ length: 50 }, (_, i) => [
    frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, PLAIN_REQUEST), frame(RST_STREAM, 0, 2 * i + 1, reset)
  ]).flat()
  // In one piece with the preface, which Node reads to its end before it tells of any stream.
  client.write(Buffer.concat([PREFACE, ...frames, frame(HEADERS, END_STREAM | END_HEADERS, 101, PLAIN_REQUEST)]))
  t.equal(String(await nextFrame(client, DATA)), '1', 'the first one that anybody waits for')
})

t.test('silence', async (t) => {
  const reasons = async (fastify: object, timeouts: object): Promise<unknown> => {
    const proxy = await start(t, { fastify, prox: { ...PROX, timeouts } }, echo)
    const session = await h2(t, proxy, 'example.com:443')
    t.equal((await ask(session, { ':path': '/' })).status, 200)
    await once(session, 'close')
    return (await proxy.log.next(/tunnel to example.com:443 closed/)).code
  }
  await t.test('IDLE_TIMEOUT', async () => { await reasons({}, { idle: 50 }) })
  await t.test('keepAliveTimeout', async () => { await reasons({ keepAliveTimeout: 50 }, {}) })
  await t.test('connectionTimeout', async (t) => t.equal(await reasons({ connectionTimeout: 50 }, {}), 'CONNECTION_TIMEOUT'))
  await t.test('connectionTimeout without keepAliveTimeout', async (t) => {
    t.equal(await reasons({ connectionTimeout: 50, keepAliveTimeout: 0 }, {}), 'CONNECTION_TIMEOUT')
  })
  await t.test('connectionTimeout while a response is waited for', async (t) => {
    const proxy = await start(t, { fastify: { connectionTimeout: 100, keepAliveTimeout: 50 }, prox: PROX }, (app) => {
      app.get('/p/*', async () => await new Promise(() => {}))
    })
    const session = await h2(t, proxy, 'example.com:443')
    const stream = session.request({ ':path': '/' })
    const goaway = once(session, 'goaway')
    stream.on('error', () => {})
    await goaway
    await once(stream, 'close')
    await proxy.log.next(/tunnel to example.com:443 closed/)
  })
  await t.test('a response that is running outlives idle', async (t) => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => { release = resolve })
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, (app) => {
      app.get('/p/*', async () => await released.then(() => 'late'))
    })
    const session = await h2(t, proxy, 'example.com:443')
    const answer = ask(session, { ':path': '/' })
    await once(session, 'goaway')
    // The client is asked for a sign of life again and again, and gives it.
    for (let signs = 0; signs < 3; signs++) await once(session, 'remoteSettings')
    release()
    t.equal((await answer).body.toString(), 'late')
    await proxy.log.next(/tunnel to example.com:443 closed/)
  })
  await t.test('a client that never closes its side', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, echo)
    const client = await proxy.tunnel('example.com:80', {}, { ...proxy.connection, allowHalfOpen: true } as NetConnectOpts)
    client.write(PREFACE)
    await client.closed()
    await proxy.log.next(/tunnel to example.com:80 closed/)
    t.equal(client.socket.writableEnded, false)
  })
  await t.test('a client that gives no sign of life while a response is waited for', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, (app) => {
      app.get('/p/*', async () => await new Promise(() => {}))
    })
    const client = await rawH2(proxy)
    client.write(frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST))
    t.equal((await nextFrame(client, GOAWAY)).readUInt32BE(4), NGHTTP2_NO_ERROR)
    t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { level: 'debug', code: 'CLIENT_UNRESPONSIVE', requests: 1 })
  })
})
