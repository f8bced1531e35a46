import t from 'tap'
import { startForward, startRaw, startSite } from './support'

t.test('forwards the URL byte for byte', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const proxy = await startForward(t)
  for (const path of ['/a/../b', '/?a=../..', '/a%2fb', '/%E9', '/a|b{}^`"', '/%', '/?%', '//x//', '/a?', '/?a b'.replace(' ', '+')]) {
    const client = await proxy.client()
    const { status, body } = await client.ask('GET', `http://127.0.0.1:${site.port}${path}`)
    t.strictSame([status, body], [200, 'ok'], path)
    t.equal(site.seen.at(-1)!.url, path)
  }
})

t.test('sends bodies of every type unparsed', async (t) => {
  const site = await startSite(t, (request, response) => { request.pipe(response) })
  const proxy = await startForward(t)
  for (const [type, body] of [['application/json', '{"a" : 1, "a":2}'], ['text/plain', 'x'], ['application/x-unknown', 'y'], ['', 'z'], ['not a type', 'q']] as const) {
    const client = await proxy.client()
    const { status, body: echoed } = await client.ask('POST', `http://127.0.0.1:${site.port}/`, type === '' ? {} : { 'content-type': type! }, body)
    t.strictSame([status, echoed], [200, body], type)
  }
  t.equal(site.seen.at(-1)!.headers['content-type'], 'not a type')
})

t.test('keeps fields as they are', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.end('HTTP/1.1 200 Fine, thanks\r\nX-One: a\r\nSet-Cookie: a=1\r\nX-one: \xe9\r\nset-cookie: b=2\r\nConnection: close, X-Gone\r\nX-Gone: 1\r\nContent-Length: 2\r\n\r\nok', 'latin1')
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  client.write(`GET http://127.0.0.1:${raw.port}/ HTTP/1.1\r\nHost: x\r\nX-A: \xe9\r\nConnection: close\r\n\r\n`)
  const text = await client.closed()
  t.match(text, /^HTTP\/1.1 200 Fine, thanks\r\n/)
  t.match(text, /\r\nX-One: a\r\nX-One: \xe9\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\nVia: 1.1 fastify-prox-[0-9a-f]{12}\r\n/)
  t.notMatch(text, /X-Gone/)
})

t.test('h2 upstream', async (t) => {
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

t.test('103, trailers', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n')
    socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n')
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  const { interim, trailers, body } = await client.ask('GET', `http://127.0.0.1:${raw.port}/`)
  t.strictSame([interim, trailers, body], [[103], { 'x-t': '1' }, 'ok'])
})
