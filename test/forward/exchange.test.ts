import { once } from 'node:events'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import websocket from '@fastify/websocket'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import type forward from '../../forward/index'
import type { RawResponse } from '../support/raw'
import { startForward, startRaw, startSite } from './support'

t.test('sets and removes fields, and lets a route change the response', async (t) => {
  const site = await startSite(t, (_request, response) => response.setHeader('X-Site', 'a').end('body'))
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (_request, reply) => reply.forward({
      headers: { 'X-Added': ['1', '2'], cookie: null, 'user-agent': 'me', 'x-none': undefined, 'x-number': 5 },
      onResponse: async (response) => {
        response.headers['x-seen'] = '1'
        delete response.headers['x-site']
        response.statusCode = 201
      }
    }))
  })
  const client = await proxy.client()
  const { status, headers, body } = await client.ask('GET', `http://127.0.0.1:${site.port}/`, {
    cookie: 'a=1',
    'user-agent': 'you'
  })
  t.strictSame([status, headers['x-seen'], headers['x-site'], body], [201, '1', undefined, 'body'])
  const { rawHeaders } = site.seen[0]!
  t.match(rawHeaders.join('\n'), /user-agent\nme\nX-Added\n1\nX-Added\n2\nx-number\n5\nVia/)
  t.notMatch(rawHeaders.join('\n'), /cookie|x-none/i)
})

t.test('sends another body in place of the one that came', async (t) => {
  const site = await startSite(t, (_request, response) => {
    response.setHeader('etag', '"a"').setHeader('content-length', 4).end('body')
  })
  const inCapitals = async function * (body: AsyncIterable<Buffer>): AsyncGenerator<string> {
    for await (const chunk of body) yield String(chunk).toUpperCase()
  }
  const bodies: Record<string, (response: forward.ForwardResponse) => void> = {
    text: (response) => { response.body = 'other text' },
    bytes: (response) => { response.body = Buffer.from('other text') },
    none: (response) => { response.body = null },
    iterable: (response) => { response.body = (async function * () { yield 'other '; yield Buffer.from('text') })() },
    changed: (response) => { response.body = inCapitals(response.body as AsyncIterable<Buffer>) }
  }
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (request, reply) => reply.forward({ onResponse: bodies[request.headers['x-body'] as string]! }))
  })
  const expected: Record<string, string> = {
    text: 'other text',
    bytes: 'other text',
    none: '',
    iterable: 'other text',
    changed: 'BODY'
  }
  for (const kind of Object.keys(bodies)) {
    const client = await proxy.client()
    const { body, headers } = await client.ask('GET', `http://127.0.0.1:${site.port}/`, { 'x-body': kind })
    t.strictSame([body, headers.etag], [expected[kind], undefined], kind)
  }
})

t.test('what onResponse throws goes to the error handler', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('body'))
  const proxy = await startForward(t, {}, (app) => {
    app.setErrorHandler((err: Error, _request, reply) => reply.code(418).send(err.message))
    app.all('/*', (_request, reply) => reply.forward({ onResponse: () => { throw new Error('no') } }))
  })
  const { status, body } = await (await proxy.client()).ask('GET', `http://127.0.0.1:${site.port}/`)
  t.strictSame([status, body], [418, 'no'])
})

t.test('decodes every coding, within the limit', async (t) => {
  const text = 'hello '.repeat(100)
  const encoded: Record<string, [coding: string, body: Buffer]> = {
    gzip: ['gzip', gzipSync(text)],
    deflate: ['deflate', deflateSync(text)],
    raw: ['deflate', deflateRawSync(text)],
    br: ['br', brotliCompressSync(text)],
    twice: ['gzip, br', brotliCompressSync(gzipSync(text))],
    plain: ['identity', Buffer.from(text)],
    unknown: ['x', Buffer.from(text)],
    wrong: ['gzip', Buffer.from('nothing')],
    large: ['gzip', gzipSync('x'.repeat(10_000))],
    empty: ['deflate', Buffer.alloc(0)]
  }
  const site = await startSite(t, (request, response) => {
    const [coding, body] = encoded[request.url!.slice(1)]!
    response.setHeader('content-encoding', coding).setHeader('etag', '"a"').setHeader('content-length', body.length)
    response.end(body)
  })
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (_request, reply) => reply.forward({ decode: { limit: 5000 } }))
  })
  const ask = async (kind: string, accepted?: string): Promise<RawResponse> => {
    const fields: Record<string, string> = accepted === undefined ? {} : { 'accept-encoding': accepted }
    return await (await proxy.client()).ask('GET', `http://127.0.0.1:${site.port}/${kind}`, fields)
  }
  for (const kind of ['gzip', 'deflate', 'raw', 'br', 'twice']) {
    const { body, headers } = await ask(kind, 'x, gzip;q=0.5, br')
    t.strictSame([body, headers['content-encoding'], headers.etag], [text, undefined, undefined], kind)
  }
  t.equal(site.seen[0]!.headers['accept-encoding'], 'gzip;q=0.5, br')
  const unknown = await ask('unknown')
  t.strictSame([unknown.headers['content-encoding'], unknown.body], ['x', text])
  t.equal((await ask('empty')).body, '')
  for (const kind of ['wrong', 'large']) await t.rejects(ask(kind, 'zzz'), /closed/, kind)
})

t.test('hands out the exchange as it was on the wire', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.end('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
      'HTTP/1.1 200 Yes\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n' +
      '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n')
  })
  const events: unknown[] = []
  const proxy = await startForward(t)
  const done = new Promise<forward.ExchangeEnd>((resolve) => {
    proxy.app.onExchange(({ method, url, webSocket }) => {
      events.push([method, new URL(url).pathname, webSocket])
      return {
        request: ({ rawHeaders, path, httpVersion }, { remoteAddress, tlsVersion, reused }) => {
          events.push([path, httpVersion, rawHeaders.includes('Transfer-Encoding'), remoteAddress, tlsVersion, reused])
        },
        requestData: async (chunk) => { events.push(String(chunk)) },
        requestTrailers: (trailers) => { events.push(trailers) },
        informational: ({ statusCode }) => { events.push(statusCode) },
        response: ({ statusCode, statusMessage, rawHeaders }) => {
          events.push([statusCode, statusMessage, rawHeaders.includes('Transfer-Encoding')])
        },
        responseData: (chunk) => { events.push(String(chunk)) },
        responseTrailers: (trailers) => { events.push(trailers) },
        end: resolve
      }
    })
    proxy.app.onExchange(() => { throw new Error('a listener that fails') })
    proxy.app.onExchange(() => ({
      response: () => { throw new Error('a sink that fails') },
      responseData: async () => { throw new Error('never') }
    }))
    proxy.app.onExchange(() => ({ responseData: async () => { throw new Error('late') } }))
    proxy.app.onExchange(() => {})
  })
  const client = await proxy.client()
  client.write(`POST http://127.0.0.1:${raw.port}/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n` +
    '1\r\nq\r\n0\r\nX-Q: 2\r\n\r\n')
  t.match(await client.response(), { status: 200, body: 'ok', trailers: { 'x-t': '1' }, interim: [103] })
  const { error, timings } = await done
  t.equal(error, null)
  t.ok(timings.connected! <= timings.responseHead! && timings.responseHead! <= timings.end)
  t.strictSame(events, [
    ['POST', '/x', false],
    ['/x', '1.1', true, '127.0.0.1', null, false],
    'q',
    ['X-Q', '2'],
    103,
    [200, 'Yes', true],
    'ok',
    ['X-T', '1']
  ])
  t.equal(proxy.log.count(/no longer recorded/), 3)
})

t.test('says why an exchange was cut short', async (t) => {
  const site = await startSite(t, (request, response) => {
    if (request.url === '/cut') response.write('a', () => response.destroy())
    else request.socket.destroy()
  })
  const proxy = await startForward(t)
  const errors: Array<Promise<unknown>> = []
  proxy.app.onExchange(() => {
    let resolve: (value: unknown) => void
    errors.push(new Promise((_resolve) => { resolve = _resolve }))
    return { end: ({ error }) => resolve(error) }
  })
  for (const path of ['/cut', '/never']) {
    const client = await proxy.client()
    client.write(`GET http://127.0.0.1:${site.port}${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await once(client.socket, 'close')
    t.ok(await errors.at(-1) instanceof Error)
  }
})

t.test('those who record may change the fields that are sent, one after the other', async (t) => {
  const site = await startSite(t, (_request, response) => response.end())
  const wss = new WebSocketServer({ server: site.server as never })
  const proxy = await startForward(t, {}, async (app) => {
    await app.register(websocket)
    app.onExchange(() => ({ requestHeaders: (fields) => [...fields, 'X-First', '1'] }))
    app.onExchange(() => ({}))
    app.onExchange(() => ({ requestHeaders: (fields) => [...fields, 'X-Count', String(fields.length)] }))
    app.get('/*', { websocket: true, config: { forward: true } }, (socket, request) => request.forwardSocket(socket))
    app.post('/*', (_request, reply) => reply.forward())
  })
  await proxy.ask('POST', `http://127.0.0.1:${site.port}/`)
  t.match(site.seen[0]!.headers, { 'x-first': '1', 'x-count': String })
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${site.port}/`, { agent })
  const opened = once(client, 'open')
  const [, request] = await once(wss, 'connection') as [unknown, { headers: object }]
  await opened
  t.match(request.headers, { 'x-first': '1', 'x-count': String })
  client.terminate()
})
