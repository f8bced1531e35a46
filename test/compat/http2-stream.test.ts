/** From streams to requests: limits, targets, expectations, and streams that die at any moment. */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Accepted } from '../../plugin/compat/http2-stream'
import { acceptStream, http2Options, refuseStream } from '../../plugin/compat/http2-stream'
import {
  ACK, data, END_HEADERS, END_STREAM, frame, goaway, literal, OPENING, ping, pushPromise, rstStream, TYPE, windowUpdate
} from '../support/http2-frames'
import { until } from '../support/until'
import { ask, ended, listen, REQUEST, UPLOAD } from './http2-support'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = http2.constants
const { CONTINUATION, HEADERS, SETTINGS } = TYPE

const PONG = ping(undefined, ACK).toString('latin1')
const AUTHORITY = Buffer.concat([Buffer.from([0x41, 6]), Buffer.from('a.test')])

function fields (count: number, value = 'a'): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, value]))
}

t.test('a request may have as many fields as over HTTP/1.1', async (t) => {
  const server = await listen(t, (app) => {
    app.get('/', async ({ raw }) => ({ count: raw.rawHeaders.length / 2, cookie: raw.headers.cookie?.length }))
  })
  const session = await server.client()
  t.match(await ask(session, fields(1_999)), { status: 200, body: '{"count":2000}' })
  t.equal((await ask(session, fields(2_000))).status, 431, 'with Host')
  t.equal((await ask(session, fields(4_000))).status, 431)
  const cookies = Array.from({ length: 2_100 }, (_, i) => `${i}`)
  t.match(await ask(session, { cookie: cookies }), { status: 431 }, 'too large')
  t.match(JSON.parse((await ask(session, { cookie: cookies.slice(0, 1_000) })).body), { count: 2 })
  t.equal((await ask(session, { 'x-a': 'a'.repeat(16_000) })).status, 200)
  t.equal((await ask(session, { 'x-a': 'a'.repeat(17_000) })).status, 431)
  t.equal((await ask(session, { 'x-a': 'a'.repeat(17_000), ':method': 'POST' }, 'content')).status, 431)
  t.equal((await ask(session)).status, 200, 'on the same connection')
})

t.test('limits may be other than those of HTTP/1.1', async (t) => {
  const routes = (app: FastifyInstance): unknown => app.get('/', async () => 'whole')
  const few = await listen(t, routes, { limits: { maxHeaderSize: 1_024, maxHeadersCount: 3 } })
  const session = await few.client()
  t.equal((await ask(session, fields(2))).status, 200)
  t.equal((await ask(session, fields(3))).status, 431)
  t.equal((await ask(session, { cookie: ['a=1', 'b=2', 'c=3', 'd=4'] })).status, 200, 'cookies are one field')
  t.equal((await ask(session, { 'x-a': 'a'.repeat(1_100) })).status, 431)

  const many = await listen(t, routes, { limits: { maxHeaderSize: 40_000, maxHeadersCount: 0 } })
  t.equal((await ask(await many.client(), fields(3_000))).status, 200)
  const { settings } = http2Options({}, { maxConcurrentStreams: 5 })
  t.match(settings, { maxConcurrentStreams: 5, enableConnectProtocol: false })
})

t.test('targets are taken and refused as by Node\'s HTTP/1.1 parser', async (t) => {
  const http1 = http.createServer((raw, response) => { response.end(raw.url) }).listen(0, '127.0.0.1')
  t.teardown(() => http1.close())
  await once(http1, 'listening')
  const byHttp1 = async (target: Buffer): Promise<string> => {
    const socket = net.connect((http1.address() as AddressInfo).port, '127.0.0.1')
    const rest = Buffer.from(' HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
    socket.write(Buffer.concat([Buffer.from('GET '), target, rest]))
    const text = Buffer.concat(await socket.toArray()).toString('latin1')
    return text.startsWith('HTTP/1.1 200') ? `200 ${target.toString('latin1')}` : '400'
  }
  let url: string | undefined
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      url = request.url
      response.end()
    }
  })
  const client = await server.raw()
  client.write(OPENING)
  let stream = 1
  const byHttp2 = async (target: Buffer): Promise<string> => {
    url = undefined
    const block = Buffer.concat([Buffer.from([0x82, 0x86]), AUTHORITY, literal(':path', target)])
    // The library answers PING when it has gone through what came before.
    client.write(Buffer.concat([frame(HEADERS, END_STREAM | END_HEADERS, stream, block), ping()]))
    stream += 2
    let text = ''
    while (!text.includes(PONG)) text += (await once(client, 'data'))[0].toString('latin1')
    return url === undefined ? '400' : `200 ${url}`
  }
  const differences: string[] = []
  const octets = Array.from({ length: 256 }, (_, octet) => Buffer.from([0x2f, 0x61, octet, 0x62]))
  const others = ['a', '?a', '//a', '/\\', '/"<>`{}|^', '/%', '/?q=ü', '/a?b?c', 'http']
  for (const target of [...octets, ...others.map((text) => Buffer.from(text))]) {
    if (await byHttp1(target) !== await byHttp2(target)) differences.push(target.toString('latin1'))
  }
  t.strictSame(differences, ['/a#b'], 'but for fragments, which no request has')
})

t.test('targets in other forms are refused, but for OPTIONS *', async (t) => {
  const server = await listen(t, (app) => {
    app.options('*', async ({ raw }) => raw.url)
    app.get('/', async () => 'whole')
  })
  const session = await server.client()
  t.match(await ask(session, { ':method': 'OPTIONS', ':path': '*' }), { status: 200, body: '*' })
  for (const scheme of ['http', 'ftp']) {
    for (const path of ['*', 'http://b.test/', '', 'a']) {
      // The library refuses some of them itself, and resets the stream.
      const answer = await ask(session, { ':path': path, ':scheme': scheme }).catch(() => ({ status: 400 }))
      t.equal(answer.status, 400, `${scheme} ${path}`)
    }
  }
  t.equal((await ask(session, { ':path': '/?q=ü' })).status, 400)
  t.equal((await ask(session)).status, 200, 'the session goes on')
})

t.test('pseudo-header fields that are missing, come twice or late do no harm', async (t) => {
  const server = await listen(t, (app) => { app.all('/*', async () => 'whole') })
  const [method, path, scheme] = [Buffer.from([0x82]), Buffer.from([0x84]), Buffer.from([0x86])]
  const bad = [
    [path, scheme, AUTHORITY],
    [method, scheme, AUTHORITY],
    [method, path, AUTHORITY],
    [method, path, scheme],
    [method, method, path, scheme, AUTHORITY],
    [method, path, path, scheme, AUTHORITY],
    [method, path, scheme, AUTHORITY, AUTHORITY],
    [literal('x-a', 'a'), method, path, scheme, AUTHORITY],
    [method, path, scheme, AUTHORITY, literal(':protocol', 'websocket')],
    [method, path, scheme, AUTHORITY, literal('connection', 'close')],
    [method, path, scheme, AUTHORITY, literal('transfer-encoding', 'chunked')],
    [literal(':method', 'CONNECT'), path, scheme, AUTHORITY],
    [literal(':method', 'CONNECT'), AUTHORITY, literal(':protocol', 'websocket')],
    [literal(':method', 'a b'), path, scheme, AUTHORITY],
    [method, path, scheme, literal(':authority', '')]
  ].map((block) => Buffer.concat(block))
  const raw = await server.raw()
  const frames = bad.map((block, i) => frame(HEADERS, END_STREAM | END_HEADERS, 2 * i + 1, block))
  raw.write(Buffer.concat([OPENING, ...frames]))
  raw.resume()
  await once(raw, 'data')
  const session = await server.client()
  t.equal((await ask(session)).status, 200)
})

t.test('a CONNECT is refused or accepted as a request for an authority', async (t) => {
  const server = await listen(t)
  const session = await server.client()
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'b.test:443' })
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 405)
  stream.close()

  const accepted: Accepted[] = []
  const target = { ':method': 'CONNECT', ':authority': 'b.test:443' }
  const raw = await listen(t, () => {}, {
    before: (stream) => { accepted.push(acceptStream(stream, target, Object.entries(target).flat(), {})!) }
  })
  const tunnel = (await raw.client()).request(target)
  tunnel.on('error', () => {})
  await until(() => accepted.length === 1)
  const { request } = accepted[0]!
  t.match(request, { method: 'CONNECT', authority: 'b.test:443' })
  t.strictSame(request.headers, { host: 'b.test:443' })
})

t.test('100-continue is answered, and other expectations are refused', async (t) => {
  const server = await listen(t, (app) => { app.post('/', async ({ body }) => body) })
  const session = await server.client()
  const headers = { ':method': 'POST', 'content-type': 'text/plain' }
  for (const expect of ['100-continue', '100-Continue']) {
    const answer = await ask(session, { ...headers, expect }, 'content')
    t.match(answer, { status: 200, body: 'content' })
    t.strictSame(answer.informational.map((fields) => fields[':status']), [100])
  }
  t.match(await ask(session, { ...headers, expect: 'more' }, 'content'), { status: 417, body: '' })
})

const KILLERS: Record<string, Buffer> = {
  'RST_STREAM CANCEL': rstStream(1, NGHTTP2_CANCEL),
  'RST_STREAM NO_ERROR': rstStream(1, NGHTTP2_NO_ERROR),
  'RST_STREAM PROTOCOL_ERROR': rstStream(1, NGHTTP2_PROTOCOL_ERROR),
  'GOAWAY with an error': goaway(NGHTTP2_PROTOCOL_ERROR, 1),
  'GOAWAY without': goaway(NGHTTP2_NO_ERROR, 1),
  'WINDOW_UPDATE 0': windowUpdate(1, 0),
  PUSH_PROMISE: pushPromise(1, 2),
  'DATA on an idle stream': data(9, 'a'),
  'a second HEADERS': frame(HEADERS, END_HEADERS, 1, REQUEST),
  'DATA behind the end': Buffer.concat([data(1, '', END_STREAM), data(1, 'a')]),
  'a CONTINUATION of nothing': frame(CONTINUATION, 0, 1),
  'SETTINGS on a stream': frame(SETTINGS, 0, 1)
}

const FIRSTS: Record<string, Buffer> = {
  GET: frame(HEADERS, END_STREAM | END_HEADERS, 1, REQUEST),
  POST: frame(HEADERS, END_HEADERS, 1, UPLOAD),
  'POST with content': Buffer.concat([frame(HEADERS, END_HEADERS, 1, UPLOAD), data(1, 'half')]),
  HEAD: frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([literal(':method', 'HEAD'), REQUEST.subarray(1)])),
  CONNECT: frame(HEADERS, END_HEADERS, 1, Buffer.concat([literal(':method', 'CONNECT'), REQUEST.subarray(3)])),
  'expect 100-continue': frame(HEADERS, END_HEADERS, 1, Buffer.concat([UPLOAD, literal('expect', '100-continue')])),
  'another expectation': frame(HEADERS, END_HEADERS, 1, Buffer.concat([UPLOAD, literal('expect', 'more')])),
  'more fields than are allowed': frame(HEADERS, END_HEADERS, 1, Buffer.concat([
    REQUEST, ...Object.keys(fields(2_100)).map((name) => literal(name, 'a'))
  ])),
  'a target that is refused': frame(HEADERS, END_HEADERS, 1, Buffer.concat([
    Buffer.from([0x82, 0x86]), literal(':path', '/a b'), REQUEST.subarray(3)
  ]))
}

for (const handed of [true, false]) {
  const source = handed ? 'JavaScript' : 'the system'
  t.test(`streams may die right behind their beginning, with bytes from ${source}`, async (t) => {
    let requests = 0
    const server = await listen(t, (app) => {
      app.all('/*', async (_request, reply) => {
        requests++
        return await new Promise(setImmediate).then(() => reply.send(Readable.from(['whole'])))
      })
    }, { handed })
    for (const [first, begin] of Object.entries(FIRSTS)) {
      for (const [killer, kill] of Object.entries(KILLERS)) {
        const raw = await server.raw()
        raw.write(Buffer.concat([OPENING, begin, kill]))
        await once(raw, 'data')
        await new Promise(setImmediate)
        raw.destroy()
        t.pass(`${first}, ${killer}`)
      }
    }
    // Where Node announces streams when it has read all of the bytes, none of them may be alive.
    t.ok(requests > 0 || handed)
    t.ok(server.refused > 0)
    t.equal((await ask(await server.client())).status, 200, 'the process lives')
  })
}

t.test('a stream that has been answered is not answered again', async (t) => {
  const server = await listen(t, () => {}, {
    before: (stream) => {
      stream.respond({ ':status': 204 })
      refuseStream(stream, 400)
    },
    accepted: () => {}
  })
  const stream = (await server.client()).request()
  const [headers] = await once(stream, 'response')
  t.equal(headers[':status'], 204)
  await ended(stream.resume())
})
