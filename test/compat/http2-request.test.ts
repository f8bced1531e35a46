/** Requests over HTTP/2 as the routes of an application that was written for HTTP/1.1 see them. */
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type { Http2Request } from '../../plugin/compat/http2-request'
import { connectionOf } from '../../plugin/compat/http2-socket'
import { isHttp2 } from '../../plugin/compat/http2-state'
import {
  data, END_HEADERS, END_STREAM, frame, literal, OPENING, rstStream, TYPE
} from '../support/http2-frames'
import { until } from '../support/until'
import { ask, ended, listen, REQUEST, UPLOAD } from './http2-support'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants

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

t.test('content without length and type reaches the route', async (t) => {
  const server = await listen(t, (app) => {
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    app.post('/*', async ({ body, raw }) => ({ body, coding: raw.headers['transfer-encoding'], raw: raw.rawHeaders }))
    app.addHttpMethod('REPORT', { hasBody: true })
  })
  const session = await server.client()
  const post = async (headers: object, body?: string) => {
    return JSON.parse((await ask(session, { ':method': 'POST', ...headers }, body)).body)
  }
  const seen = await post({ ':authority': 'a.test' }, 'content')
  t.strictSame(seen, {
    body: 'content', coding: 'chunked', raw: ['host', 'a.test', 'transfer-encoding', 'chunked']
  })
  t.match(await post({ 'content-length': 7 }, 'content'), { body: 'content', coding: undefined })
  t.match(await post({}), { body: undefined, coding: undefined }, 'a request without content')
})

t.test('a length that the content contradicts is refused by the library', async (t) => {
  const server = await listen(t, (app) => { app.post('/', async ({ body }) => body) })
  const session = await server.client()
  for (const length of ['6', '8']) {
    const headers = { ':method': 'POST', 'content-length': length, 'content-type': 'text/plain' }
    await t.rejects(ask(session, headers, 'content'))
  }
})

t.test('an upload that was cut off is no complete one', async (t) => {
  for (const code of [NGHTTP2_NO_ERROR, NGHTTP2_CANCEL]) {
    const server = await listen(t, () => {}, {
      accepted: ({ request, response }) => {
        ended.push(new Promise((resolve) => {
          let content = ''
          request.on('data', (chunk) => { content += chunk })
          request.on('end', () => resolve(['end', content]))
          request.on('error', ({ code, message }: NodeJS.ErrnoException) => resolve([code, message]))
        }))
        t.equal(request.complete, false)
        request.once('data', () => raw.write(rstStream(1, code)))
        response.flushHeaders()
        requests.push(request)
      }
    })
    const ended: Array<Promise<unknown>> = []
    const requests: Http2Request[] = []
    const raw = await server.raw()
    raw.write(Buffer.concat([OPENING, frame(TYPE.HEADERS, END_HEADERS, 1, UPLOAD), data(1, 'half')]))
    await until(() => ended.length === 1)
    t.strictSame(await ended[0], ['ECONNRESET', 'aborted'])
    t.match(requests[0], { aborted: true, complete: false, destroyed: true })
  }
})

t.test('an upload that is cut off behind its response is no complete one', async (t) => {
  let end: Promise<unknown> | undefined
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      end = new Promise((resolve) => {
        request.on('end', () => resolve('end')).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code))
      })
      request.once('data', () => {
        response.end('early')
        setImmediate(() => raw.write(rstStream(1, NGHTTP2_CANCEL)))
      })
    }
  })
  const raw = await server.raw()
  raw.write(Buffer.concat([OPENING, frame(TYPE.HEADERS, END_HEADERS, 1, UPLOAD), data(1, 'half')]))
  await until(() => end !== undefined)
  t.equal(await end, 'ECONNRESET')
})

t.test('a body that is complete is read to its end, whenever that is', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      request.resume().on('end', () => {
        t.equal(request.complete, true)
        t.equal(request.aborted, false)
        response.end('read')
      })
      t.equal(request.complete, false)
    }
  })
  t.match(await ask(await server.client(), { ':method': 'POST' }, 'content'), { status: 200, body: 'read' })
})

t.test('a request tells that its client has left', async (t) => {
  const requests: Http2Request[] = []
  const events: string[] = []
  const server = await listen(t, () => {}, {
    accepted: ({ request }) => {
      requests.push(request)
      request.on('aborted', () => events.push('aborted')).on('close', () => events.push('close'))
      if (request.url === '/error') request.on('error', () => events.push('error'))
    }
  })
  const session = await server.client()
  for (const [method, path, expected] of [
    ['GET', '/error', ['aborted', 'error', 'close']], ['GET', '/', ['aborted', 'close']], ['HEAD', '/', ['close']]
  ] as const) {
    events.length = 0
    const stream = session.request({ ':method': method, ':path': path })
    const count = requests.length
    await until(() => requests.length > count)
    const request = requests.at(-1)!
    t.equal(request.aborted, false)
    stream.close(NGHTTP2_CANCEL)
    await until(() => events.includes('close'))
    t.strictSame(events, expected)
    t.match(request, { aborted: true, complete: true })
  }
})

t.test('a request that the application destroys takes its stream with it', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request }) => { request.destroy(request.url === '/error' ? new Error('no more') : undefined) }
  })
  const session = await server.client()
  for (const [path, code] of [['/', NGHTTP2_CANCEL], ['/error', http2.constants.NGHTTP2_INTERNAL_ERROR]] as const) {
    const stream = session.request({ ':path': path })
    await ended(stream).catch(() => {})
    t.equal(stream.rstCode, code)
  }
})

t.test('trailers are those of the request', async (t) => {
  const server = await listen(t, (app) => {
    app.post('/', async ({ raw }) => ({
      trailers: raw.trailers,
      distinct: raw.trailersDistinct,
      raw: raw.rawTrailers,
      symbols: Object.getOwnPropertySymbols(raw.trailers).length
    }))
  })
  const headers = { ':method': 'POST', 'content-type': 'text/plain' }
  const stream = (await server.client()).request(headers, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-a': ['1', '2'] })).end('content')
  t.strictSame(JSON.parse(Buffer.concat(await stream.toArray()).toString()), {
    trailers: { 'x-a': '1, 2' }, distinct: { 'x-a': ['1', '2'] }, raw: ['x-a', '1', 'x-a', '2'], symbols: 0
  })
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
