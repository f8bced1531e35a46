import { on, once } from 'node:events'
import { linkSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import har from '../../har/index'
import { startSite } from '../forward/support'
import type { Proxy } from '../support/proxy'
import { entry, forwardAll, forwardSockets, harFile, harText, startHar, startReplayApp, text } from './support'

const field = (name: string, value: string): har.HarPair => ({ name, value })
const post = (mimeType: string, body: string): Partial<har.HarRequest> => ({
  headers: [field('Content-Type', mimeType)], postData: { mimeType, text: body }
})

async function replaying (
  t: Test, entries: readonly unknown[], options: Partial<har.HarOptions> = {}, setup = forwardAll
): Promise<Proxy> {
  const file = harFile(t)
  writeFileSync(file, harText(entries))
  return await startHar(t, { file, ...options }, setup)
}

t.test('replays what was recorded, with the site gone: by routes that forward, and as a proxy app', async (t) => {
  const file = harFile(t)
  const server = await startSite(t, (request, response) => {
    const { method, url } = request
    if (url === '/gzip') {
      return response.writeHead(
        200, 'Fine', { 'content-encoding': 'gzip', 'x-a': '1' }
      ).end(gzipSync('plain'))
    }
    if (url === '/unknown') return response.writeHead(200, { 'content-encoding': 'x' }).end('coded')
    if (url === '/large') return response.end('large '.repeat(1000))
    if (url === '/empty') return response.writeHead(204).end()
    if (url === '/head') return response.writeHead(200, { 'content-length': 1234 }).end()
    if (url === '/cookie') return response.writeHead(200, { 'set-cookie': ['a=1', 'b=2; Path=/'] }).end('c')
    response.write(`${method} `)
    return request.pipe(response)
  }, { http2: false })
  const wss = new WebSocketServer({ server: server.server as never, handleProtocols: () => 'two' })
  wss.on('connection', (socket, { url }) => {
    if (url === '/live') socket.send('welcome')
    socket.on('message', (data, binary) => {
      for (const each of [1, 2]) socket.send(each === 1 ? 'got it' : data, { binary: each === 2 && binary })
    })
  })
  const base = `127.0.0.1:${server.port}`
  const requests: Array<[method: string, path: string, body?: string]> = [
    ['GET', '/gzip'], ['GET', '/unknown'], ['GET', '/large'], ['GET', '/empty'], ['HEAD', '/head'], ['HEAD', '/gzip'],
    ['GET', '/cookie'], ['POST', '/echo', 'x'.repeat(5000)], ['DELETE', '/echo']
  ]
  const run = async (proxy: Proxy): Promise<unknown[]> => {
    const answers: unknown[] = []
    for (const [method, path, body] of requests) {
      const { status, message, headers, body: content } = await proxy.ask(
        method, `http://${base}${path}`, { authorization: 'Basic x' }, body
      ) as unknown as Record<string, unknown> & { headers: Record<string, string> }
      const { 'x-a': a, 'content-encoding': coding, 'set-cookie': cookies } = headers
      answers.push({ path, status, message, a, coding, cookies, content })
    }
    const client = new WebSocket(
      `ws://${base}/live`, ['one', 'two'], { agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`) }
    )
    t.teardown(() => client.terminate())
    const messages: string[] = []
    const received = on(client, 'message')
    const next = async (): Promise<void> => { messages.push(String((await received.next()).value[0])) }
    await next()
    client.send(Buffer.from('binary'))
    await next()
    await next()
    answers.push(client.protocol, messages)
    client.send('more')
    client.close()
    await once(client, 'close')
    return answers
  }
  const direct = async (app: Proxy['app']): Promise<void> => {
    await app.register(websocket)
    app.route({
      method: 'GET',
      url: '/*',
      config: { forward: true },
      handler: (_request, reply) => reply.forward(),
      wsHandler: (socket, request) => request.forwardSocket(socket)
    })
    app.route({ method: ['POST', 'DELETE'], url: '/*', handler: (_request, reply) => reply.forward() })
  }
  const recording = await startHar(t, { file, mode: 'record', inlineLimit: 1000 }, direct)
  const recorded = await run(recording) as Array<Record<string, unknown>>
  await recording.app.close()
  wss.close()
  server.server.close()
  const expected = recorded.map((answer) => {
    return answer.path === '/cookie' ? { ...answer, cookies: 'a=redacted, b=redacted; Path=/' } : answer
  })
  Object.assign(expected[0]!, { coding: undefined, content: 'plain' })
  Object.assign(expected[5]!, { coding: undefined })
  const before = server.seen.length
  t.strictSame(await run(await startHar(t, { file }, direct)), expected, 'routes that forward')
  t.strictSame(await run(await startReplayApp(t, '127.0.0.1', file)), expected, 'a proxy app')
  t.equal(server.seen.length, before)
})

t.test('finds entries by URL, method and content, however it is written', async (t) => {
  const url = 'http://a.test/x'
  const multipart = (boundary: string): [string, string] => [
    `multipart/form-data; boundary="${boundary}"`,
    `--${boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--${boundary}--\r\n`
  ]
  const proxy = await replaying(t, [
    entry('GET', 'http://A.test:80/%7Bx%7D?a=1#fragment', text('get')),
    entry('POST', url, text('json'), post('application/json', '{"a":1,"b":[{"c":2,"d":null}]}')),
    entry('POST', url, text('broken json'), post('application/json', '{')),
    entry('POST', url, text('form'), post('application/x-www-form-urlencoded; charset=utf-8', 'a=1&b=2&password=x')),
    entry('POST', url, text('params'), {
      postData: { mimeType: 'application/x-www-form-urlencoded', params: [{ name: 'p', value: '1' }, { name: 'q' }] }
    }),
    entry('POST', url, text('multipart'), post(...multipart('one'))),
    entry('POST', url, text('bytes'), { postData: { mimeType: '', text: '/w==', encoding: 'base64' } }),
    entry('POST', url, text('none'))
  ])
  const ask = async (type: string, body: string | Buffer): Promise<string> => {
    const client = await proxy.client()
    client.write(Buffer.concat([
      Buffer.from(
        `POST ${url} HTTP/1.1\r\nHost: a.test\r\n${type && `Content-Type: ${type}\r\n`}` +
        `Content-Length: ${body.length}\r\n\r\n`
      ), Buffer.from(body)
    ]) as never)
    return (await client.response()).body
  }
  const client = await proxy.client()
  client.write('GET http://a.test/{x}?a=1 HTTP/1.1\r\nHost: a.test\r\n\r\n')
  t.equal((await client.response()).body, 'get')
  t.equal(await ask('application/json', '{ "b": [{"d":null, "c":2}], "a": 1 }'), 'json')
  t.equal(await ask('application/json', '{'), 'broken json')
  t.equal(await ask('application/x-www-form-urlencoded', 'b=2&a=1&password=y'), 'form')
  t.equal(await ask('application/x-www-form-urlencoded', 'q=&p=1'), 'params')
  t.equal(await ask(...multipart('two')), 'multipart')
  t.equal(await ask(multipart('three')[0].replaceAll('"', ''), multipart('three')[1]), 'multipart')
  t.equal(await ask('', Buffer.from([0xff])), 'bytes')
  t.equal(await ask('', ''), 'none')
})

t.test('of several entries takes the one whose fields differ least, then in order; the last one repeats', async (t) => {
  const url = 'http://a.test/'
  const accepting = (type: string): Partial<har.HarRequest> => ({
    headers: [field('Accept', type), field('X-A', '1'), field('x-a', '2'), field('x-request-id', 'x')]
  })
  const proxy = await replaying(t, [
    entry('GET', url, text('json 1'), accepting('application/json')),
    entry('GET', url, text('html'), accepting('text/html')),
    entry('GET', url, text('json 2'), accepting('application/json')),
    entry('GET', url, { ...text('failed'), _error: 'cut' }, accepting('application/json')),
    entry('GET', url, { status: 304 }, accepting('application/json')),
    entry('GET', url, { status: 206, ...text('part') }, { headers: [field('Range', 'bytes=0-1')] }),
    entry('GET', url, { status: 0 }, accepting('application/json'))
  ])
  const ask = async (headers: Record<string, string>): Promise<[number, string]> => {
    const { status, body } = await proxy.get(url, { 'x-a': '1, 2', ...headers })
    return [status, body]
  }
  for (
    const body of ['json 1', 'json 2', 'json 2']
  ) t.strictSame(await ask({ accept: 'application/json' }), [200, body])
  t.strictSame(await ask({ accept: 'text/html' }), [200, 'html'])
  t.strictSame(await ask({ accept: 'application/json', 'if-none-match': '"a"' }), [304, ''])
  t.strictSame(await ask({ accept: '*/*', range: 'bytes=0-1', 'x-a': '' }), [206, 'part'])
})

t.test('a 304 answers a request with a condition alone', async (t) => {
  const proxy = await replaying(t, [entry('GET', 'http://a.test/', { status: 304 })])
  for (
    const condition of ['if-none-match', 'if-modified-since']
  ) t.match(await proxy.get('http://a.test/', { [condition]: 'a' }), { status: 304, body: '' })
  t.match(await proxy.get('http://a.test/'), { status: 501, body: /a condition or range that differs/ })
})

t.test('lets match decide, or leave it', async (t) => {
  const asked: har.HarMatchRequest[] = []
  const proxy = await replaying(t, [entry(
    'GET', 'http://a.test/1', text('one')
  ), entry('GET', 'http://a.test/2', text('two')), entry('GET', 'http://a.test/3', text('three'))], {
    match: (recorded, request) => {
      asked.push(request)
      if (request.url.endsWith('/any')) return !recorded.request.url.endsWith('/2')
      return recorded.request.url.endsWith('/3') ? false : undefined
    }
  })
  const bodies: string[] = []
  for (
    const path of ['any', 'any', 'any', '2']
  ) bodies.push((await proxy.get(`http://a.test/${path}`, { cookie: 'a=secret' })).body)
  t.strictSame(bodies, ['one', 'three', 'three', 'two'])
  t.equal((await proxy.get('http://a.test/3')).status, 501)
  t.match(asked[0], {
    method: 'GET', url: 'http://a.test/any', webSocket: false, headers: { cookie: 'a=redacted' }, body: Buffer.alloc(0)
  })
})

t.test('a miss is 501, with the three nearest entries and what differs', async (t) => {
  const form = 'application/x-www-form-urlencoded'
  const proxy = await replaying(t, [
    entry('GET', 'http://other.test/far/away'),
    entry('PUT', 'http://a.test/x?page=1'),
    entry(
      'POST', 'http://a.test/y', {}, post('application/json', `{"a":{"b":[1,2]},"long":"${'x'.repeat(80)}","c":null}`)
    ),
    entry('POST', 'http://a.test/x?page=1', {}, post(form, 'a=1')),
    entry('POST', 'http://a.test/x?page=1', {}, post('text/plain', 'text'))
  ], {}, (app) => {
    app.setErrorHandler(({ message, nearest }: Error & { nearest: har.HarNearest[] }, _request, reply) => {
      return reply.code(501).send({ message, nearest })
    })
    forwardAll(app)
  })
  const miss = async (
    method: string, url: string, type = '', body = ''
  ): Promise<{ message: string, nearest: har.HarNearest[] }> => {
    const answer = await proxy.ask(method, url, { 'content-type': type }, body)
    t.equal(answer.status, 501)
    return JSON.parse(answer.body)
  }
  const first = await miss('POST', 'http://a.test/x?page=2&api_key=secret', form, 'a=2&password=secret')
  t.match(
    first.message.replace(/in \/.*\//, 'in '),
    /^POST http:\/\/a\.test\/x\?page=2&api_key=redacted is not recorded in site\.har\. Nearest, with what is recorded:/
  )
  t.match(first.message, '\n1. POST http://a.test/x?page=1\n   query.page.0: "1", not "2"\n')
  t.notMatch(JSON.stringify(first), /secret/)
  t.strictSame(first.nearest.map(({ method }) => method), ['POST', 'POST', 'PUT'])
  t.strictSame(first.nearest[0]!.differences, [
    'query.page.0: "1", not "2"', 'query.api_key: nothing, not ["redacted"]', 'body.a.0: "1", not "2"',
    'body.password: nothing, not ["redacted"]'
  ])
  t.match(first.nearest[1]!.differences.at(-1), /^body: 4 bytes, not these \d+ bytes$/)
  t.equal(first.nearest[2]!.differences[0], 'method: PUT, not POST')
  const second = await miss('POST', 'http://a.test/y', 'application/json', '{"a":{"b":[1,3,4]},"c":{}}')
  t.strictSame(second.nearest[0]!.differences, [
    'body.a.b.1: 2, not 3', 'body.a.b.2: nothing, not 4', `body.long: "${'x'.repeat(59)}…, not nothing`,
    'body.c: null, not {}'
  ])
  const third = await miss('GET', 'http://b.test/far/off')
  t.match(
    third.nearest[0]!.differences, ['host: http://other.test, not http://b.test', 'path: /far/away, not /far/off']
  )
})

t.test('a WebSocket that is not recorded is refused before it is accepted; one that was refused, too', async (t) => {
  const file = harFile(t)
  writeFileSync(file, harText([
    entry(
      'GET', 'ws://a.test/refused', { status: 403, ...text('no') }
    ), entry('GET', 'http://a.test/page', text('page')),
    entry('GET', 'ws://a.test/silent', { status: 101 })
  ]))
  const proxies = [
    await startHar(t, { file }, forwardSockets),
    await startReplayApp(t, 'a.test', file)
  ]
  for (const proxy of proxies) {
    for (const [path, status] of [['/refused', 403], ['/page', 501]] as const) {
      const client = new WebSocket(
        `ws://a.test${path}`, { agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`) }
      )
      client.on('error', () => {})
      const [, response] = await once(client, 'unexpected-response')
      t.equal(response.statusCode, status)
      client.terminate()
    }
    const client = new WebSocket('ws://a.test/silent', { agent: new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`) })
    await once(client, 'open')
    t.equal(client.protocol, '')
    client.send('to nobody')
    // A frame that no client may send.
    const socket = (client as unknown as { _socket: { write (bytes: Buffer): void } })._socket
    socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]))
    await once(client, 'close')
  }
})

t.test('replays files of others: repeated fields in lines, pseudo-fields, what is missing', async (t) => {
  const proxy = await replaying(t, [
    entry('GET', 'http://a.test/lines', {
      statusText: 'bad\nreason',
      headers: [field(':status', '200'), field(
        'set-cookie', 'a=1\nb=2'
      ), field('bad name', 'x'), field('x-bad', 'a\u0000'), field('transfer-encoding', 'chunked')]
    }),
    entry('GET', 'http://a.test/typed', { ...text('<p>', 'text/html'), statusText: undefined as never }),
    entry('GET', 'http://a.test/untyped', text('x', 'x-unknown')),
    entry('GET', 'http://a.test/none', { content: undefined as never }),
    entry(
      'HEAD', 'http://a.test/coded', { headers: [field('content-encoding', 'gzip'), field('content-length', '5')] }
    ),
    entry('HEAD', 'http://a.test/odd', { headers: [field('content-length', 'x')] }),
    entry('GET', 'no URL')
  ])
  const lines = await proxy.get('http://a.test/lines')
  t.match(lines, { status: 200, headers: { 'set-cookie': 'a=1, b=2', 'content-length': '0' } })
  t.equal(lines.headers['x-bad'], undefined)
  t.match(await proxy.get('http://a.test/typed'), {
    body: '<p>', headers: { 'content-type': 'text/html', 'content-length': '3' }
  })
  t.equal((await proxy.get('http://a.test/untyped')).headers['content-type'], undefined)
  t.match(await proxy.get('http://a.test/none'), { status: 200, body: '' })
  t.equal((await proxy.get('http://a.test/miss')).status, 501)
})

t.test('refuses what is no HAR file, and files outside its folder', async (t) => {
  const file = harFile(t)
  const folder = dirname(file)
  mkdirSync(join(folder, 'in'))
  writeFileSync(join(folder, 'secret'), 'secret')
  const target = join(folder, 'in', 'a.har')
  symlinkSync('../secret', join(folder, 'in', 'link'))
  linkSync(join(folder, 'secret'), join(folder, 'in', 'inside'))
  const content = (_file: unknown): Partial<har.HarResponse> => ({
    content: { size: 1, mimeType: 'a', _file: _file as string }
  })
  const wrong: Array<[content: string, reason: RegExp]> = [
    ['{', /not JSON/], ['null', /no log.entries/], ['{"log":{}}', /no log.entries/],
    [harText([entry('GET', 'http://a.test/', content('../secret'))]), /outside its folder/],
    [harText([entry('GET', 'http://a.test/', content(join(folder, 'secret')))]), /outside its folder/],
    [harText([entry('GET', 'http://a.test/', content('.'))]), /outside its folder/],
    [harText([entry('GET', 'http://a.test/', content('link'))]), /link out of its folder/],
    [harText([entry('GET', 'http://a.test/', content('missing'))]), /missing is missing/],
    [harText([
      entry('GET', 'http://a.test/', {}, { postData: { mimeType: 'a', _file: '../secret' } })
    ]), /outside its folder/],
    [harText([null]), /request.method of entry 0/],
    [harText([entry('GET', 5 as never)]), /request.url of entry 0/],
    [harText([entry('GET', 'a', {}, { headers: [{ name: 'a' } as never] })]), /request.headers/],
    [harText([entry('GET', 'a', { status: '200' as never })]), /response.status/],
    [harText([entry('GET', 'a', { headers: undefined as never })]), /response.headers/],
    [harText([entry('GET', 'a', {}, { postData: { mimeType: '', text: 5 as never } })]), /postData/],
    [harText([entry('GET', 'a', content(5))]), /content of/],
    [harText([{ ...entry('GET', 'a'), _webSocketMessages: [{}] }]), /_webSocketMessages/]
  ]
  const load = async (): Promise<void> => {
    const app = Fastify()
    await app.register(har.replay(target))
    await app.close()
  }
  await t.rejects(load(), { code: 'FST_PROX_HAR_UNREADABLE', message: /ENOENT/ })
  for (const [content, reason] of wrong) {
    writeFileSync(target, content)
    await t.rejects(load(), { code: 'FST_PROX_HAR_UNREADABLE', message: reason }, String(reason))
  }
  writeFileSync(
    target, `\ufeff${harText([
      entry('GET', 'http://a.test/', content('inside'), { postData: { mimeType: 'a', _file: 'inside' } }),
      { ...entry('GET', 'a'), _webSocketMessages: [{ data: '' }] }
    ])}`
  )
  await load()
})

t.test('a proxy app replays by itself: direct requests, files of requests, content over the limit', async (t) => {
  const file = harFile(t)
  writeFileSync(join(dirname(file), 'posted'), 'content')
  writeFileSync(file, harText([
    entry('GET', 'http://a.test/x', text('direct')),
    entry('POST', 'http://a.test/x', text('posted'), { postData: { mimeType: 'text/plain', _file: 'posted' } })
  ]))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(har.replay(file, { redact: false }))
  t.match(await app.inject({ url: '/x', headers: { host: 'a.test' } }), { statusCode: 200, body: 'direct' })
  t.match(await app.inject({
    method: 'POST', url: '/x', headers: { host: 'a.test', 'content-type': 'text/plain' }, payload: 'content'
  }), { statusCode: 200, body: 'posted' })
  t.match(await app.inject({ url: '/y', headers: { host: 'a.test' } }), { statusCode: 501 })
  const large = await app.inject({
    method: 'POST',
    url: '/x',
    headers: {
      host: 'a.test', 'content-type': 'a/b'
    },
    payload: Buffer.alloc(64 * 1024 * 1024 + 1)
  })
  t.equal(large.json().code, 'FST_PROX_CONTENT_TOO_LARGE')
})

t.test('checks its options, and needs the forwarder', async (t) => {
  for (const [options, message] of [
    [
      {}, /option file takes a path/
    ], [{ file: 'a', mode: 'play' }, /option mode takes 'record'/], [{ file: 'a', redact: [''] }, /option redact/],
    [
      { file: 'a', redact: [5] }, /option redact/
    ], [{ file: 'a', redact: true }, /option redact/], [{ file: 'a', modes: 1 }, /Did you mean "mode"/]
  ] as const) await t.rejects(startHar(t, options as unknown as har.HarOptions), { message })
  t.throws(() => har.replay(undefined as never), { message: /option file/ })
  t.throws(() => har.replay('a', { match: 5 as never }), { message: /option match/ })
  const app = Fastify()
  await t.rejects(async () => await app.register(har, { file: 'a' }), /fastify-prox-forward/)
  const off = await startHar(t, { file: 'nowhere/a.har', mode: 'off' }, forwardAll)
  t.equal((await off.get('http://127.0.0.1:1/')).status, 502)
})
