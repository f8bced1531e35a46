/** Limits of size, number and time hold for HTTP/2 inside tunnels. */
import { once } from 'node:events'
import http2 from 'node:http2'
import type { NetConnectOpts } from 'node:net'
import t from 'tap'
import type { TunnelClosed } from '../../types/events'
import { END_HEADERS, END_STREAM, frame, OPENING, requestBlock, rstStream, TYPE } from '../support/http2-frames'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { ask, echo, h2, PROX, recorded } from './support'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants
const { CONTINUATION, DATA, GOAWAY, HEADERS } = TYPE

const REQUEST = requestBlock('GET', 'https', 'example.com')
const PLAIN_REQUEST = requestBlock('GET', 'http', 'example.com')

/** A client of HTTP/2 that does nothing by itself: it has sent its preface. */
async function rawH2 (proxy: Proxy): Promise<RawClient> {
  const client = await proxy.tls('example.com:443', { ALPNProtocols: ['h2'] })
  client.write(OPENING)
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

t.test('a header section that is too large is refused, and the session goes on', async (t) => {
  const proxy = await start(t, { fastify: { http: { maxHeaderSize: 1_024 } }, prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(session, { ':path': '/', 'x-large': 'x'.repeat(1_024) })).status, 431)
  t.equal((await ask(session, { ':path': '/', 'x-large': 'x'.repeat(900) })).status, 200)
})

t.test('maxRequestsPerSocket ends a session after so many requests', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const proxy = await start(t, { fastify: { maxRequestsPerSocket: 2 }, prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(session, { ':path': '/1' })).status, 200)
  const goaway = once(session, 'goaway')
  t.equal((await ask(session, { ':path': '/2' })).status, 200)
  t.equal((await goaway)[0], NGHTTP2_NO_ERROR)
  t.equal((await closed.next()).requests, 2)
})

t.test('requestTimeout is for requests, and not for their responses', async (t) => {
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
  const unreadFields = { ':path': '/', 'content-type': 'application/unread' }
  const unread = ask(session, { ...unreadFields, ':method': 'PATCH' }, 'content')

  const post = { ':path': '/', ':method': 'POST', 'content-type': 'text/plain' }
  const stuck = session.request(post)
  stuck.on('error', () => {}).write('half of it')
  t.match(await once(stuck, 'response'), [{ ':status': 408 }])
  await once(stuck.resume(), 'close')

  const begun = session.request({ ...unreadFields, ':method': 'PUT' }, { endStream: false })
  begun.on('error', () => {}).write('half of it')
  t.match(await once(begun, 'response'), [{ ':status': 200 }])
  await once(begun.resume(), 'close')
  t.equal(begun.rstCode, NGHTTP2_CANCEL)

  release()
  t.equal((await late).body.toString(), 'late', 'a response may take longer')
  t.equal((await unread).body.toString(), 'late', 'whether its request was read or not')
  t.equal((await ask(session, post, 'x')).body.toString(), 'whole')
})

t.test('half a header section ends the session', async (t) => {
  const http = { headersTimeout: 100, connectionsCheckingInterval: 10 }
  const proxy = await start(t, { fastify: { http }, prox: PROX }, echo)
  const other = await h2(t, proxy, 'example.com:443')
  t.equal((await ask(other, { ':path': '/' })).status, 200)
  const client = await rawH2(proxy)
  // Sends HEADERS without END_HEADERS, and then CONTINUATION without end.
  client.write(frame(HEADERS, END_STREAM, 1, Buffer.from([0x82])))
  const drip = setInterval(() => client.write(frame(CONTINUATION, 0, 1, Buffer.from('0001610162', 'hex'))), 20)
  t.teardown(() => clearInterval(drip))
  await client.closed()
  t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { requests: 0 })
  t.equal((await ask(other, { ':path': '/' })).status, 200, 'a session without fault goes on')
})

t.test('requests that are taken back at once never reach a route', async (t) => {
  let requests = 0
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/*', async () => ++requests)
  })
  const client = await proxy.tunnel('example.com:80')
  const frames = Array.from({ length: 50 }, (_, i) => [
    frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, PLAIN_REQUEST), rstStream(2 * i + 1, NGHTTP2_CANCEL)
  ]).flat()
  // Writes all in one piece with the preface, which Node reads to its end before it tells of any stream.
  client.write(Buffer.concat([OPENING, ...frames, frame(HEADERS, END_STREAM | END_HEADERS, 101, PLAIN_REQUEST)]))
  t.equal(String(await nextFrame(client, DATA)), '1', 'the first one that anybody waits for')
})

t.test('silence ends a session', async (t) => {
  const reasons = async (fastify: object, timeouts: object): Promise<unknown> => {
    const proxy = await start(t, { fastify, prox: { ...PROX, timeouts } }, echo)
    const session = await h2(t, proxy, 'example.com:443')
    t.equal((await ask(session, { ':path': '/' })).status, 200)
    await once(session, 'close')
    return (await proxy.log.next(/tunnel to example.com:443 closed/)).code
  }
  await t.test('after timeouts.idle', async () => { await reasons({}, { idle: 50 }) })
  await t.test('after keepAliveTimeout', async () => { await reasons({ keepAliveTimeout: 50 }, {}) })
  await t.test('after connectionTimeout', async (t) => {
    t.equal(await reasons({ connectionTimeout: 50 }, {}), 'CONNECTION_TIMEOUT')
  })
  await t.test('after connectionTimeout without keepAliveTimeout', async (t) => {
    t.equal(await reasons({ connectionTimeout: 50, keepAliveTimeout: 0 }, {}), 'CONNECTION_TIMEOUT')
  })
  await t.test('after connectionTimeout while a response is waited for', async (t) => {
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
  await t.test('but not while a response is running', async (t) => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => { release = resolve })
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, (app) => {
      app.get('/p/*', async () => await released.then(() => 'late'))
    })
    const session = await h2(t, proxy, 'example.com:443')
    const answer = ask(session, { ':path': '/' })
    await once(session, 'goaway')
    // Waits while the client is asked for a sign of life again and again, and gives it.
    for (let signs = 0; signs < 3; signs++) await once(session, 'remoteSettings')
    release()
    t.equal((await answer).body.toString(), 'late')
    await proxy.log.next(/tunnel to example.com:443 closed/)
  })
  await t.test('of a client that never closes its side', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, echo)
    const connection = { ...proxy.connection, allowHalfOpen: true } as NetConnectOpts
    const client = await proxy.tunnel('example.com:80', {}, connection)
    client.write(OPENING)
    await client.closed()
    await proxy.log.next(/tunnel to example.com:80 closed/)
    t.equal(client.socket.writableEnded, false)
  })
  await t.test('of a client that gives no sign of life while a response is waited for', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, (app) => {
      app.get('/p/*', async () => await new Promise(() => {}))
    })
    const client = await rawH2(proxy)
    client.write(frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST))
    t.equal((await nextFrame(client, GOAWAY)).readUInt32BE(4), NGHTTP2_NO_ERROR)
    t.match(await proxy.log.next(/tunnel to example.com:443 closed/), {
      level: 'debug',
      code: 'CLIENT_UNRESPONSIVE',
      requests: 1
    })
  })
})
