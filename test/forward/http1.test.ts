import t from 'tap'
import { startForward, startRaw, startSite } from './support'

const PATHS = ['/a/../b', '/?a=../..', '/a%2fb', '/%E9', '/a|b{}^`"', '/%', '/?%', '//x//', '/a?', '/?a+b']

t.test('forwards the URL byte for byte', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const proxy = await startForward(t)
  for (const path of PATHS) {
    const client = await proxy.client()
    const { status, body } = await client.ask('GET', `http://127.0.0.1:${site.port}${path}`)
    t.strictSame([status, body], [200, 'ok'], path)
    t.equal(site.seen.at(-1)!.url, path)
  }
})

/** Types of content, and content of which some is not of its type. */
const BODIES = [
  ['application/json', '{"a" : 1, "a":2}'],
  ['text/plain', 'x'],
  ['application/x-unknown', 'y'],
  ['', 'z'],
  ['not a type', 'q']
] as const

t.test('sends bodies of every type unparsed', async (t) => {
  const site = await startSite(t, (request, response) => { request.pipe(response) })
  const proxy = await startForward(t)
  for (const [type, body] of BODIES) {
    const client = await proxy.client()
    const fields: Record<string, string> = type === '' ? {} : { 'content-type': type }
    const { status, body: echoed } = await client.ask('POST', `http://127.0.0.1:${site.port}/`, fields, body)
    t.strictSame([status, echoed], [200, body], type)
  }
  t.equal(site.seen.at(-1)!.headers['content-type'], 'not a type')
})

const ANSWER = [
  'HTTP/1.1 200 Fine, thanks',
  'X-One: a',
  'Set-Cookie: a=1',
  'X-one: \xe9',
  'set-cookie: b=2',
  'Connection: close, X-Gone',
  'X-Gone: 1',
  'Content-Length: 2',
  '',
  'ok'
].join('\r\n')

t.test('keeps fields as they are, in their order and case', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.end(ANSWER, 'latin1')
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  client.write(`GET http://127.0.0.1:${raw.port}/ HTTP/1.1\r\nHost: x\r\nX-A: \xe9\r\nConnection: close\r\n\r\n`)
  const text = await client.closed()
  t.match(text, /^HTTP\/1.1 200 Fine, thanks\r\n/)
  const fields = [
    'X-One: a',
    'X-One: \xe9',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Content-Length: 2',
    'Via: 1.1 fastify-prox-[0-9a-f]{12}'
  ]
  t.match(text, new RegExp(`\r\n${fields.join('\r\n')}\r\n`))
  t.notMatch(text, /X-Gone/)
})

t.test('speaks HTTP/2 with a host that offers it', async (t) => {
  const site = await startSite(t, (request, response) => {
    response.setHeader('x-version', request.httpVersion)
    response.setHeader('set-cookie', ['a=1', 'b=2'])
    request.pipe(response)
  }, { http2: true })
  const proxy = await startForward(t)
  const { status, body, headers } = await proxy.ask('POST', `https://localhost:${site.port}/a/../b?%`, {}, 'hello')
  t.strictSame([status, body, headers['x-version']], [200, 'hello', '2.0'])
  t.equal(site.seen[0]!.url, '/b?%')
})

t.test('hands on 103 and trailers, and no 100 that nobody asked for', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n')
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  const { interim, trailers, body } = await client.ask('GET', `http://127.0.0.1:${raw.port}/`)
  t.strictSame([interim, trailers, body], [[103], { 'x-t': '1' }, 'ok'])
})
