/** The head of a request over HTTP/2 and its connection, as applications that were written for HTTP/1.1 see them. */
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import type http2 from 'node:http2'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type { Http2Request } from '../../plugin/compat/http2-request'
import { connectionOf } from '../../plugin/compat/http2-socket'
import { isHttp2 } from '../../plugin/compat/http2-state'
import { END_HEADERS, END_STREAM, frame, literal, OPENING, TYPE } from '../support/http2-frames'
import { until } from '../support/until'
import { ask, listen, REQUEST } from './http2-support'

t.test('a route sees the fields as over HTTP/1.1', async (t) => {
  const server = await listen(t, (app) => {
    app.all('/*', async ({ raw }) => ({
      headers: raw.headers,
      raw: raw.rawHeaders,
      distinct: raw.headersDistinct,
      symbols: Object.getOwnPropertySymbols(raw.headers).length,
      own: Object.hasOwn(raw.headers, 'host'),
      method: raw.method,
      url: raw.url
    }))
  })
  const session = await server.client()
  const see = async (headers: http2.OutgoingHttpHeaders) => JSON.parse((await ask(session, headers)).body)

  const seen = await see({ ':path': '/a?b', ':authority': 'a.test', 'x-a': ['1', '2'], cookie: ['a=1', 'b=2', 'c=3'] })
  t.strictSame(seen, {
    headers: { host: 'a.test', 'x-a': '1, 2', cookie: 'a=1; b=2; c=3' },
    raw: ['host', 'a.test', 'x-a', '1', 'x-a', '2', 'cookie', 'a=1; b=2; c=3'],
    distinct: { host: ['a.test'], 'x-a': ['1', '2'], cookie: ['a=1; b=2; c=3'] },
    symbols: 0,
    own: true,
    method: 'GET',
    url: '/a?b'
  })
  t.equal((await see({ host: 'b.test' })).headers.host, 'b.test', 'Host where there is no :authority')
  const both = await see({ ':authority': 'a.test', host: 'b.test' })
  t.strictSame([both.headers.host, both.raw], ['a.test', ['host', 'a.test']], ':authority wins')
  const once = await see({ ':authority': 'a.test', 'user-agent': 'a', 'if-none-match': '"a"', te: 'trailers' })
  t.match(once.headers, { 'user-agent': 'a', 'if-none-match': '"a"', te: 'trailers' })
})

t.test('fields that come several times are joined as over HTTP/1.1', async (t) => {
  const server = http.createServer((raw, response) => { response.end(JSON.stringify(raw.headers)) })
  server.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const lines = [
    ['if-none-match', '"a"'], ['if-none-match', '"b"'], ['user-agent', 'a'], ['user-agent', 'b'], ['set-cookie', 'a'],
    ['set-cookie', 'b'], ['constructor', 'a'], ['constructor', 'b'], ['cookie', 'a=1'], ['cookie', 'b=2'],
    ['__proto__', 'a']
  ]
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const head = ['GET / HTTP/1.1', 'host: a.test', 'connection: close', ...lines.map((line) => line.join(': '))]
  socket.end(`${head.join('\r\n')}\r\n\r\n`)
  const text = Buffer.concat(await socket.toArray()).toString()
  const { connection, ...expected } = JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1))

  let request: IncomingMessage | undefined
  const h2 = await listen(t, (app) => { app.get('/', async ({ raw }) => { request = raw }) })
  const raw = await h2.raw()
  const block = Buffer.concat([REQUEST, ...lines.map(([name, value]) => literal(name!, value!))])
  raw.write(Buffer.concat([OPENING, frame(TYPE.HEADERS, END_STREAM | END_HEADERS, 1, block)]))
  await until(() => request !== undefined)
  t.strictSame({ ...request!.headers }, expected)
})

t.test('a request can be sent on with its fields', async (t) => {
  const origin = http.createServer(({ headers }, response) => { response.end(headers['x-a']) }).listen(0, '127.0.0.1')
  t.teardown(() => origin.close())
  await once(origin, 'listening')
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/`
  const server = await listen(t, (app) => {
    app.get('/', async ({ headers }) => await (await fetch(url, { headers: headers as Record<string, string> })).text())
  })
  t.match(await ask(await server.client(), { 'x-a': '1' }), { status: 200, body: '1' })
})

t.test('every view of the fields agrees when one was taken out', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      request.url = '/elsewhere'
      delete request.headers['x-a']
      request.rawHeaders.splice(request.rawHeaders.indexOf('x-a'), 2)
      const { url, headersDistinct, scheme, authority, httpVersion } = request
      response.end(JSON.stringify([url, headersDistinct, scheme, authority, httpVersion]))
    }
  })
  const { body } = await ask(await server.client(), { ':authority': 'a.test', 'x-a': '1' })
  t.strictSame(JSON.parse(body), ['/elsewhere', { host: ['a.test'] }, 'http', 'a.test', '2.0'])
})

t.test('addresses outlive the stream and the session', async (t) => {
  const ips: unknown[] = []
  const server = await listen(t, (app) => {
    app.addHook('onResponse', async ({ ip, raw }) => { ips.push(ip, raw.socket.remotePort, 'encrypted' in raw.socket) })
    app.get('/', async () => 'whole')
    app.get('/gone', async (request, reply) => {
      server.sessions.at(-1)!.destroy()
      await new Promise(setImmediate)
      ips.push(request.ip)
      reply.hijack()
    })
  })
  const session = await server.client()
  await ask(session)
  await until(() => ips.length === 3)
  t.strictSame(ips, ['127.0.0.1', session.socket.localPort, true])
  ips.length = 0
  await t.rejects(ask(session, { ':path': '/gone' }))
  await until(() => ips.length > 0)
  t.equal(ips[0], '127.0.0.1')
})

t.test('the socket of a request tells what is known of its connection', async (t) => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('a.test')
  const requests: Http2Request[] = []
  const server = await listen(t, () => {}, {
    secure: { key, cert },
    accepted: ({ request, response }) => {
      requests.push(request)
      const { socket } = request
      t.ok(socket instanceof tls.TLSSocket)
      t.equal(request.socket, socket)
      t.equal(request.connection, socket)
      t.equal(response.socket, socket)
      t.match(socket, { remoteAddress: '127.0.0.1', encrypted: true, alpnProtocol: 'h2' })
      t.match(socket, { destroyed: false, writable: true, readable: true })
      t.equal((socket as tls.TLSSocket).getProtocol(), 'TLSv1.3', 'its methods')
      t.ok('getProtocol' in socket && 'remoteAddress' in socket && !('nothing' in socket))
      const state = socket as unknown as { seen: number }
      state.seen = (state.seen ?? 0) + 1
      socket.setNoDelay(true)
      for (const name of ['write', 'read', 'pause', 'resume'] as const) {
        t.throws(() => { (socket[name] as () => void)() }, { code: 'ERR_HTTP2_NO_SOCKET_MANIPULATION' })
      }
      const listener = (): void => { t.fail('was taken off') }
      socket.on('close', listener)
      socket.removeListener('close', listener)
      socket.setTimeout(1_000_000)
      t.equal(server.sessions[0]!.listenerCount('timeout'), 0)
      response.end(String(state.seen))
    }
  })
  const session = await server.client({ ca: ca.certificatePem, servername: 'a.test' })
  t.equal((await ask(session)).body, '1')
  t.equal((await ask(session)).body, '2', 'what is remembered with the connection')

  const { socket } = requests[0]!
  await until(() => requests[0]!.stream.destroyed)
  t.match(socket, { remoteAddress: '127.0.0.1', encrypted: true, destroyed: true, readable: false })
  t.equal((socket as tls.TLSSocket).getProtocol(), undefined)
  t.equal((socket as unknown as { nothing: unknown }).nothing, undefined)
  t.ok('getProtocol' in socket && !('nothing' in socket));
  (socket as unknown as { seen: number }).seen = 3
  socket.allowHalfOpen = true
  t.ok(socket instanceof tls.TLSSocket)
  socket.destroySoon()
  socket.resetAndDestroy()
})

t.test('what belongs to the stream may be set', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }, stream) => {
      const timeout = (): void => {}
      Object.assign(request.socket, { timeout: 5 })
      t.equal((stream as unknown as { timeout: number }).timeout, 5)
      request.setTimeout(0, timeout)
      response.end()
    }
  })
  await ask(await server.client())
})

t.test('a request may be of a connection of which nothing is known', async (t) => {
  let request: Http2Request | undefined
  const server = await listen(t, () => {}, { accepted: (both) => { request = both.request } })
  const session = await server.client()
  session.request().on('error', () => {})
  await until(() => request !== undefined)
  const { stream } = request!
  const socket = (): never => { throw new Error('must not be asked') }
  t.equal(connectionOf(stream, socket), connectionOf(stream, socket), 'once for a session')
  stream.destroy()
  t.equal(connectionOf(stream, socket).values.size, 0)
  const closing = { closed: true, session: {} } as unknown as typeof stream
  t.equal(connectionOf(closing, socket).values.size, 0)
})

t.test('isHttp2 knows requests and responses of HTTP/2', (t) => {
  t.equal(isHttp2({ httpVersionMajor: 2 } as IncomingMessage), true)
  t.equal(isHttp2({ httpVersionMajor: 1 } as IncomingMessage), false)
  t.end()
})
