/** HTTP/2 inside tunnels: negotiated by ALPN, and with prior knowledge where there is no TLS. */
import { once } from 'node:events'
import http2 from 'node:http2'
import type { IncomingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { start } from '../support/proxy'
import { jsonOf } from '../support/raw'
import { ask, echo, h2, h2c, PROX, until } from './support'

const MEGABYTE = 2 ** 20
const { NGHTTP2_CANCEL, NGHTTP2_PROTOCOL_ERROR } = http2.constants

t.test('requests are answered, and the application knows how they came', async (t) => {
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
  const json = { ':path': '/a', ':method': 'POST', 'content-type': 'application/json' }
  const post = await ask(session, json, '{"answer":42}')
  t.same(post.json().body, { answer: 42 })
  t.equal((await ask(session, { ':path': '/a', ':method': 'HEAD' })).body.length, 0)
})

t.test('the authority of a request is one that the certificate of its tunnel covers', async (t) => {
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
  const byHost = await ask(session, { ':path': '/', host: 'api.example.com' })
  t.equal(byHost.json().url, 'https://api.example.com/', 'the Host field in its place')
  t.equal((await ask(session, { ':path': '*', ':method': 'OPTIONS' })).json().url, 'https://www.example.com/')

  const exact = await start(t, { prox: { ...PROX, ca: { store: new Map(), wildcards: false } } }, echo)
  const strict = await h2(t, exact, 'www.example.com:443')
  t.equal((await ask(strict, { ':path': '/', ':authority': 'api.example.com' })).status, 421)
})

t.test('another port than the default is part of the URL', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:8443')
  t.match((await ask(session, { ':path': '/' })).json(), { url: 'https://example.com:8443/', host: 'example.com:8443' })
})

t.test('big bodies arrive, up and down', async (t) => {
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

t.test('128 streams run at a time, and one more waits', async (t) => {
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
  const bodies = (await Promise.all(answers)).map(({ body }) => body.toString())
  t.same(bodies, Array.from({ length: 129 }, (_, i) => `https://example.com/${i}`))
  t.equal(most, 128)
})

t.test('streams that either side aborts leave the session as it is', async (t) => {
  const aborted: unknown[] = []
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/https://example.com/endless', async (request) => {
      request.raw.on('aborted', () => aborted.push(request.proxy!.url))
      return new Readable({ read () { this.push(Buffer.alloc(1_000)) } })
    })
    const breakOff = function (this: Readable): void {
      this.push('x')
      this.destroy(new Error('broken'))
    }
    app.get('/p/https://example.com/broken', async () => new Readable({ read: breakOff }))
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

t.test('trailers arrive, both ways', { skip: OLDEST && 'Fastify 5.0.0 sends no trailers over HTTP/2' }, async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.post('/p/*', async ({ raw, body }, reply) => {
      reply.trailer('x-sum', async () => '6')
      reply.header('x-got', String(raw.trailers['x-count']))
      return body
    })
  })
  const session = await h2(t, proxy, 'example.com:443')
  const fields = { ':path': '/', ':method': 'POST', 'content-type': 'text/plain' }
  const stream = session.request(fields, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-count': '3' }))
  stream.end('abc')
  const [answered] = await once(stream, 'response') as [IncomingHttpHeaders]
  t.equal(answered['x-got'], '3')
  const trailers = once(stream, 'trailers')
  t.equal(Buffer.concat(await stream.toArray()).toString(), 'abc')
  t.match((await trailers)[0], { 'x-sum': '6' })
})

t.test('HTTP/2 is spoken by prior knowledge in a tunnel without TLS', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2c(t, proxy, 'example.com:80')
  t.match((await ask(session, { ':path': '/a' })).json(), {
    url: 'http://example.com/a',
    version: '2.0',
    tunnel: { alpn: null, tlsVersion: null }
  })
  t.equal((await ask(session, { ':path': '/a', ':authority': 'example.org' })).status, 421)
})

t.test('http2: false has neither ALPN nor prior knowledge choose HTTP/2', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, http2: false } }, echo)
  const client = await proxy.tls('example.com:443', { ALPNProtocols: ['h2', 'http/1.1'] })
  t.equal(client.socket.alpnProtocol, 'http/1.1')
  t.match(await jsonOf(client.ask('GET', '/')), { version: '1.1', tunnel: { alpn: 'http/1.1' } })
  await t.rejects(proxy.tls('example.com:443', { ALPNProtocols: ['h2'] }), {
    code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'
  })

  const plain = await proxy.tunnel('example.com:80')
  plain.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  t.equal(await plain.closed(), '')
  t.match(await proxy.log.next(/tunnel to example.com:80 closed/), { level: 'info', code: 'HTTP2_DISABLED' })
})

t.test('a CONNECT inside a tunnel is refused', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const session = await h2(t, proxy, 'example.com:443')
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'example.org:443' })
  const [fields] = await once(stream, 'response')
  t.equal(fields[':status'], 405)
  t.match(await proxy.log.next(/CONNECT inside/), {
    level: 'info',
    msg: 'tunnel to example.com:443: CONNECT inside a tunnel refused'
  })
  stream.close()

  const extended = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/',
    ':scheme': 'https',
    ':authority': 'example.com'
  })
  await t.rejects(once(extended, 'response'), { code: 'ERR_HTTP2_STREAM_ERROR' })
  t.equal(extended.rstCode, NGHTTP2_PROTOCOL_ERROR)
})
