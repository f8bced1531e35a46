/** The head of a response over HTTP/2 may be given what works over HTTP/1.1. */
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Http2Response } from '../../plugin/compat/http2-response'
import { answerOf, ask, listen } from './http2-support'

const FORBIDDEN = {
  connection: 'close',
  'keep-alive': 'timeout=5',
  'proxy-connection': 'close',
  'transfer-encoding': 'chunked',
  upgrade: 'h2c',
  'http2-settings': 'AAMAAABk',
  te: 'gzip',
  Connection: 'close'
}

t.test('fields that HTTP/2 forbids are dropped, however they are given', async (t) => {
  const server = await listen(t, (app) => {
    const fields = { ...FORBIDDEN, 'x-a': '1' }
    app.get('/headers', async (_request, reply) => { reply.headers(fields); return 'whole' })
    app.get('/stream', async (_request, reply) => reply.headers(fields).send(Readable.from(['whole'])))
    app.get('/error', async (_request, reply) => { reply.headers(fields); throw new Error('whole') })
    const hijacked = (path: string, respond: (raw: Http2Response) => void): void => {
      app.get(path, (_request, reply) => { respond(reply.hijack().raw as unknown as Http2Response) })
    }
    hijacked('/object', (raw) => raw.writeHead(200, { ...FORBIDDEN, 'x-a': '1' }).end('whole'))
    hijacked('/reason', (raw) => raw.writeHead(200, 'Fine', { ...FORBIDDEN, 'x-a': '1' }).end('whole'))
    hijacked('/flat', (raw) => raw.writeHead(200, [...Object.entries(FORBIDDEN).flat(), 'x-a', '1']).end('whole'))
    hijacked('/pairs', (raw) => raw.writeHead(200, [...Object.entries(FORBIDDEN), ['x-a', '1']]).end('whole'))
    hijacked('/set', (raw) => {
      for (const [name, value] of Object.entries(FORBIDDEN)) raw.setHeader(name, value)
      raw.setHeader('x-a', '1').end('whole')
    })
    hijacked('/set-headers', (raw) => raw.setHeaders(new Map(Object.entries(fields))).end('whole'))
    hijacked('/append', (raw) => {
      for (const [name, value] of Object.entries(FORBIDDEN)) raw.appendHeader(name, value)
      raw.appendHeader('x-a', '1').end('whole')
    })
  })
  const session = await server.client()
  const names = ['headers', 'stream', 'error', 'object', 'reason', 'flat', 'pairs', 'set', 'set-headers', 'append']
  for (const name of names) {
    const { status, headers, body } = await ask(session, { ':path': `/${name}` })
    t.equal(status, name === 'error' ? 500 : 200, name)
    t.match(body, 'whole')
    t.equal(headers['x-a'], '1')
    t.strictSame(Object.keys(FORBIDDEN).filter((field) => headers[field] !== undefined), [])
  }
})

t.test('the field te may say trailers', async (t) => {
  const { headers } = await answerOf(t, (response) => response.writeHead(200, { te: 'trailers' }).end())
  t.equal(headers.te, 'trailers')
})

t.test('of a list for a field of one value the first is sent', async (t) => {
  // Every field that Node knows: one that is not in the tables would throw.
  const constants = Object.entries(http2.constants).filter(([key]) => key.startsWith('HTTP2_HEADER_'))
  const fields = constants.map(([, name]) => String(name)).filter((name) => name[0] !== ':')
  t.ok(fields.length > 70)
  const given = Object.fromEntries(fields.map((name) => [name, name === 'content-length' ? [0, 0] : ['a', 'b']]))
  const { headers } = await answerOf(t, (response) => response.writeHead(200, given).end())
  t.match(headers, {
    location: 'a',
    etag: 'a',
    'content-type': 'a',
    age: 'a',
    'content-length': '0',
    'content-encoding': 'a, b',
    'content-language': 'a, b',
    vary: 'a, b',
    'set-cookie': ['a', 'b']
  })

  const server = await listen(t, (app) => {
    app.get('/', async (_request, reply) => {
      reply.header('location', ['/a', '/b']).header('etag', [])
      return 'whole'
    })
    app.get('/one', async (_request, reply) => { reply.header('location', ['/a']); return 'whole' })
    app.get('/cases', (_request, reply) => {
      reply.hijack().raw.writeHead(200, { Location: '/a', location: '/b', 'X-A': '1', 'x-a': '2', 'x-A': ['3'] }).end()
    })
  })
  const session = await server.client()
  t.match(await ask(session), { status: 200, body: 'whole', headers: { location: '/a', etag: undefined } })
  t.match(await ask(session, { ':path': '/one' }), { headers: { location: '/a' } })
  t.match(await ask(session, { ':path': '/cases' }), { headers: { location: '/a', 'x-a': '1, 2, 3' } })
})

t.test('what no message can hold is refused as over HTTP/1.1', async (t) => {
  const server = await listen(t, (app) => {
    const bad: Array<[string, [string, string]]> = [
      ['line', ['x-a', 'a\nb']], ['nul', ['x-a', 'a\0b']], ['wide', ['x-a', 'Ж']], ['name', ['x a', 'b']],
      ['pseudo', [':status', '200']]
    ]
    for (const [path, [name, value]] of bad) {
      app.get(`/${path}`, async (_request, reply) => { reply.header(name, value); return 'whole' })
      app.get(`/${path}/stream`, async (_request, reply) => reply.header(name, value).send(Readable.from(['whole'])))
      app.get(`/${path}/callback`, (_request, reply) => { reply.header(name, value).send('whole') })
    }
  })
  const session = await server.client()
  for (const path of ['line', 'nul', 'wide', 'name', 'pseudo']) {
    for (const how of ['', '/stream', '/callback']) {
      t.equal((await ask(session, { ':path': `/${path}${how}` })).status, 500, path + how)
    }
  }
  t.equal(session.closed, false)

  const { headers } = await answerOf(t, (response) => {
    t.throws(() => response.setHeader('x a', '1'), { code: 'ERR_INVALID_HTTP_TOKEN' })
    t.throws(() => response.setHeader('x-a', 'a\r\nb'), { code: 'ERR_INVALID_CHAR' })
    t.throws(() => response.setHeader('x-a', undefined as unknown as string), { code: 'ERR_HTTP_INVALID_HEADER_VALUE' })
    t.throws(() => response.writeHead(200, { 'x-b': '1', 'x-a': 'a\nb' }), { code: 'ERR_INVALID_CHAR' })
    t.throws(() => response.writeHead(200, ['x-a']), { code: 'ERR_INVALID_ARG_VALUE' })
    t.throws(() => response.writeHead(42), { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
    t.throws(() => { response.statusCode = 1_000 }, { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
    response.end()
    for (const late of [
      () => response.setHeader('x-a', '1'), () => response.removeHeader('x-a'), () => response.writeHead(200)
    ]) t.throws(late, { code: 'ERR_HTTP_HEADERS_SENT' })
  })
  t.equal(headers['x-b'], undefined, 'nothing of what was refused is sent')
})

t.test('white space around values, which clients refuse, is not sent', async (t) => {
  const { headers } = await answerOf(t, (response) => {
    response.writeHead(200, { 'x-a': ' a b\t', 'x-b': '', 'x-c': ' ' }).end()
  })
  t.match(headers, { 'x-a': 'a b', 'x-b': '', 'x-c': '' })
})

t.test('fields may be set, read and taken back', async (t) => {
  const { headers } = await answerOf(t, (response) => {
    t.equal(response.getHeader('x-a'), undefined)
    t.equal(response.hasHeader('x-a'), false)
    t.strictSame(response.getHeaderNames(), [])
    response.removeHeader('x-a')
    response.setHeader('X-A', 1)
    t.equal(response.getHeader('x-a'), 1, 'as it was given')
    response.appendHeader('x-a', ['2', '3'])
    response.setHeader('x-b', 'b')
    response.removeHeader('X-B')
    response.setHeader('connection', 'close')
    response.setHeaders(new Headers([['set-cookie', 'a=1'], ['set-cookie', 'b=2'], ['x-c', 'c']]))
    t.strictSame(response.getHeaderNames(), ['x-a', 'connection', 'set-cookie', 'x-c'])
    t.strictSame(response.getRawHeaderNames(), response.getHeaderNames())
    t.match(response.getHeaders(), { 'x-a': ['1', '2', '3'], connection: 'close' })
    response.writeHead(200, { 'x-c': 'd', 'X-D': 'd' })
    t.equal(response.getHeader('x-d'), 'd')
    response.end()
  })
  t.match(headers, { 'x-a': '1, 2, 3', 'x-b': undefined, 'set-cookie': ['a=1', 'b=2'], 'x-c': 'd', 'x-d': 'd' })
})

t.test('a date is sent unless it was taken back', async (t) => {
  t.type((await answerOf(t, (response) => { response.end() })).headers.date, 'string')
  t.equal((await answerOf(t, (response) => { response.sendDate = false; response.end() })).headers.date, undefined)
  const without = await answerOf(t, (response) => {
    response.setHeader('date', 'now')
    response.removeHeader('date')
    response.end()
  })
  t.equal(without.headers.date, undefined)
})

t.test('a status code that HTTP/2 cannot send becomes 500', async (t) => {
  for (const [given, sent] of [[200, 200], [599, 599], [600, 500], [999, 500], [103, 500]] as const) {
    t.equal((await answerOf(t, (response) => response.writeHead(given).end('whole'))).status, sent)
    t.equal((await answerOf(t, (response) => { response.statusCode = given; response.end('whole') })).status, sent)
  }
})

t.test('a status message is kept and not sent', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const { status } = await answerOf(t, (response) => {
    Object.assign(response, { statusMessage: 'Fine' })
    t.equal(response.statusMessage as string, 'Fine')
    response.writeHead(200, 'Fine', { connection: 'close' }).end()
  })
  await new Promise(setImmediate)
  t.equal(status, 200)
  t.strictSame(warnings, [])
})

t.test('a header section may have any size, up to what the library can send', async (t) => {
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const server = await listen(t, (app) => {
    app.get('/*', async ({ query }, reply) => {
      const { size, count, character } = query as { size: number, count: number, character: string }
      for (let i = 0; i < count; i++) reply.header(`x-${i}`, character.repeat(size))
      return 'whole'
    })
    app.get('/hijacked', (_request, reply) => {
      reply.hijack().raw.writeHead(200, { 'x-a': '~'.repeat(200_000) }).end('whole')
    })
  })
  const session = await server.client()
  const status = async (size: number, count: number, character: string): Promise<number> => {
    return (await ask(session, { ':path': `/?size=${size}&count=${count}&character=${character}` })).status
  }
  t.equal(await status(66_000, 1, 'x'), 200)
  t.equal(await status(104_000, 1, 'a'), 200, 'as it is encoded')
  t.equal(await status(65_536, 1, '~'), 200)
  t.equal(await status(65_537, 1, '~'), 500)
  t.equal(await status(60_000, 2, '~'), 200)
  t.equal(await status(60_000, 3, '~'), 500)
  t.equal(await status(10, 5_000, '~'), 200)
  t.equal(await status(10, 20_000, '~'), 500)
  t.match(await ask(session, { ':path': '/hijacked' }), { status: 500, body: '' })
  t.equal(await status(1, 1, '~'), 200, 'on the same connection')
  t.equal(warnings.filter(({ message }) => /more header fields/.test(message)).length, 1, 'told once')
})
