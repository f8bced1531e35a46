import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import Ajv from 'ajv'
import addFormats from 'ajv-formats'
import type { Har } from 'har-format'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { BodyFiles } from '../../har/files'
import type har from '../../har/index'
import { Redactor } from '../../har/redact'
import { HarSink } from '../../har/sink'
import { startRaw, startSite } from '../forward/support'
import type { Handler } from '../forward/support'
import { entriesOf, entry, forwardSockets, harFile, harText, startHar } from './support'

/** The published schema of HAR 1.2, file by file. */
const schemas = require('har-schema') as Record<string, object>

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff, 0xfe])

const handler: Handler = (request, response) => {
  const { pathname } = new URL(request.url!, 'http://a')
  switch (pathname) {
    case '/gzip':
      return response.writeHead(
        200, { 'content-type': 'text/html', 'content-encoding': 'gzip' }
      ).end(gzipSync('<p>é</p>'.repeat(50)))
    case '/twice':
      return response.writeHead(
        200, { 'content-type': 'text/html', 'content-encoding': 'gzip, br' }
      ).end(brotliCompressSync(gzipSync('twice')))
    case '/broken':
      return response.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' }).end('no gzip')
    case '/broken-twice':
      return response.writeHead(200, { 'content-encoding': 'gzip, br' }).end('no brotli')
    case '/unknown': return response.writeHead(
      200, { 'content-type': 'text/html', 'content-encoding': 'x' }
    ).end('as it is')
    case '/part':
      return response.writeHead(
        206, { 'content-type': 'text/html', 'content-encoding': 'gzip', 'content-range': 'bytes 0-3/9' }
      ).end('part')
    case '/image': return response.writeHead(200, { 'content-type': 'image/png' }).end(PNG)
    case '/latin1': return response.writeHead(
      200, { 'content-type': 'text/plain; charset=latin1' }
    ).end(Buffer.from([0xe9]))
    case '/moved': return response.writeHead(302, { location: '/page?access_token=secret#x' }).end()
    case '/large': return response.writeHead(200, { 'content-type': 'text/plain' }).end('large '.repeat(1000))
    case '/large-gzip': return response.writeHead(
      200, { 'content-encoding': 'gzip' }
    ).end(gzipSync('large '.repeat(1000)))
    case '/token': return response.writeHead(
      200, { 'content-type': 'application/json' }
    ).end('{"access_token": "secret", "n":12345678901234567890}')
    case '/echo': return request.pipe(response)
    case '/cut': return response.writeHead(200, { 'content-length': 10 }).write('cut', () => response.destroy())
    default:
      response.writeHead(200, {
        'content-type': 'text/plain',
        'set-cookie': [
          'sid=secret; Path=/; Domain=a.test; HttpOnly; Secure; SameSite=Lax; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
          'b; Expires=never'
        ],
        'x-a': ['1', '2']
      }).end('page')
  }
}

function byPath (entries: readonly har.HarEntry[]): Record<string, har.HarEntry> {
  return Object.fromEntries(entries.map((each) => [new URL(each.request.url).pathname, each]))
}

t.test('writes HAR 1.2 as it is published, of HTTP/1.1, HTTP/2 and WebSockets', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, handler, { http2: true })
  const plain = await startSite(t, handler)
  const wss = new WebSocketServer({ server: plain.server as never })
  wss.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })))
  const proxy = await startHar(t, { file, mode: 'record' }, async (app) => {
    await forwardSockets(app)
    app.post('/*', (request, reply) => request.url.endsWith('/local') ? reply.send('made up') : reply.forward())
  })
  const paths = ['/gzip', '/twice', '/image', '/latin1', '/moved', '/page?a=1&b=%20c', '/token']
  for (const path of paths) {
    for (const url of [`https://localhost:${site.port}${path}`, `http://127.0.0.1:${plain.port}${path}`]) {
      await proxy.ask(
        'POST', url, { cookie: 'a=1; b', 'content-type': 'application/x-www-form-urlencoded' }, 'a=1&password=secret'
      )
    }
  }
  t.equal((
    await proxy.ask('POST', `http://127.0.0.1:${plain.port}/local`)
  ).body, 'made up', 'what a route makes up is not recorded')
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${plain.port}/live?a`, { agent })
  await once(client, 'open')
  client.send('text')
  await once(client, 'message')
  client.send(PNG)
  await once(client, 'message')
  client.close()
  await once(client, 'close')
  await proxy.app.close()

  const text = readFileSync(file, 'utf8')
  t.notMatch(text, /secret/)
  const ajv = addFormats(new Ajv({ strict: false }))
  // ajv 8 knows draft 6 by no name; what is used of it has not changed.
  for (const schema of Object.values(schemas)) if ('$id' in schema) ajv.addSchema({ ...schema, $schema: '' } as object)
  const valid = ajv.getSchema('har.json#')!
  const written = JSON.parse(text) as Har
  t.ok(valid(written), JSON.stringify(valid.errors))
  t.match(written.log.creator, { name: 'fastify-prox', version: /^\d/ })
  const entries = entriesOf(file)
  t.equal(entries.length, paths.length * 2 + 1)
  const starts = entries.map(({ startedDateTime }) => startedDateTime)
  t.strictSame(starts, [...starts].sort())
  const http2 = entries.find(({ request }) => request.url.startsWith('https:'))!
  t.match(http2, {
    request: { httpVersion: 'HTTP/2.0' },
    response: {
      httpVersion: 'HTTP/2.0', content: { mimeType: 'text/html', text: '<p>é</p>'.repeat(50), compression: Number }
    },
    serverIPAddress: '127.0.0.1',
    _securityDetails: { protocol: 'TLSv1.3' }
  })
  t.strictSame(http2.request.headers.filter(({ name }) => name[0] === ':'), [])
  t.strictSame(http2.request.postData, {
    mimeType: 'application/x-www-form-urlencoded',
    text: 'a=1&password=redacted',
    params: [{ name: 'a', value: '1' }, { name: 'password', value: 'redacted' }]
  })
  t.strictSame(http2.request.cookies, [{ name: 'a', value: 'redacted' }, { name: 'b', value: '' }])
  t.ok(http2.timings.ssl! > 0 && http2.timings.connect! >= http2.timings.ssl!)
  const found = byPath(entries)
  t.equal(found['/twice']!.response.content.text, 'twice')
  t.match(found['/image']!.response.content, { text: PNG.toString('base64'), encoding: 'base64', size: 6 })
  t.match(found['/latin1']!.response.content, { text: '6Q==', encoding: 'base64' })
  t.equal(found['/moved']!.response.redirectURL, '/page?access_token=redacted#x')
  t.equal(found['/token']!.response.content.text, '{"access_token": "redacted", "n":12345678901234567890}')
  const page = found['/page']!
  t.strictSame(page.request.queryString, [{ name: 'a', value: '1' }, { name: 'b', value: ' c' }])
  t.strictSame(page.response.headers.filter(({ name }) => name === 'x-a').map(({ value }) => value), ['1', '2'])
  t.strictSame(page.response.cookies, [{
    name: 'sid',
    value: 'redacted',
    path: '/',
    domain: 'a.test',
    httpOnly: true,
    secure: true,
    sameSite: 'Lax',
    expires: '2026-10-21T07:28:00.000Z'
  }, { name: 'b', value: '' }])
  const socket = found['/live']!
  t.match(socket, {
    request: { url: `ws://127.0.0.1:${plain.port}/live?a` }, response: { status: 101 }, _resourceType: 'websocket'
  })
  t.strictSame(socket._webSocketMessages!.map(({ type, opcode, data }) => [type, opcode, data]), [
    ['send', 1, 'text'], ['receive', 1, 'text'], [
      'send', 2, PNG.toString('base64')
    ], ['receive', 2, PNG.toString('base64')]
  ])
})

t.test('keeps what cannot be decoded as it came', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, handler)
  const proxy = await startHar(t, { file, mode: 'record' })
  for (
    const path of ['/unknown', '/part', '/broken', '/broken-twice']
  ) await proxy.get(`http://127.0.0.1:${site.port}${path}`)
  await proxy.app.close()
  const found = byPath(entriesOf(file))
  t.match(found['/unknown']!.response.content, {
    _encoded: true, text: Buffer.from('as it is').toString('base64'), encoding: 'base64'
  })
  t.match(found['/part']!.response.content, { _encoded: true, text: Buffer.from('part').toString('base64') })
  for (
    const path of ['/broken', '/broken-twice']
  ) t.match(found[path]!.response.content.comment, /could not be decoded/)
})

t.test('writes large bodies beside the file, once each, and removes those that are not used any more', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, handler)
  const large = 'upload '.repeat(1000)
  const run = async (paths: string[]): Promise<void> => {
    const proxy = await startHar(t, { file, mode: 'record', inlineLimit: 1000 })
    for (const path of paths) {
      await proxy.ask(path === '/echo' ? 'POST' : 'GET', `http://127.0.0.1:${site.port}${path}`, {
        'content-type': 'text/plain'
      }, path === '/echo' ? large : '')
    }
    await proxy.app.close()
  }
  await run(['/large', '/large-gzip', '/echo', '/large', '/page'])
  const entries = entriesOf(file)
  const read = (name: string): string => readFileSync(join(dirname(file), name), 'utf8')
  t.match(entries[0]!.response.content, { size: 6000, _file: /^site-files\/[0-9a-f]{40}\.txt$/ })
  t.equal(read(entries[0]!.response.content._file!), 'large '.repeat(1000))
  t.match(entries[1]!.response.content, { size: 6000, _file: /\.dat$/ })
  t.equal(read(entries[1]!.response.content._file!), 'large '.repeat(1000))
  t.equal(read(entries[2]!.request.postData!._file!), large)
  const folder = join(dirname(file), 'site-files')
  t.equal(readdirSync(folder).length, 4)
  writeFileSync(join(folder, 'x.part'), '')
  writeFileSync(join(folder, 'notes.txt'), '')
  await run(['/large'])
  t.strictSame(
    readdirSync(folder).sort(), [entries[0]!.response.content._file!.slice('site-files/'.length), 'notes.txt'].sort()
  )
})

t.test('says why an exchange was cut short, or that it was under way', async (t) => {
  const file = harFile(t)
  let waiting: () => void
  const asked = new Promise<void>((resolve) => { waiting = resolve })
  const site = await startSite(t, (request, response) => {
    if (request.url === '/never') waiting()
    else handler(request, response)
  })
  const proxy = await startHar(t, { file, mode: 'record' }, undefined, { fastify: { forceCloseConnections: true } })
  const cut = await proxy.client()
  cut.write(`GET http://127.0.0.1:${site.port}/cut HTTP/1.1\r\nHost: a\r\n\r\n`)
  await once(cut.socket, 'close')
  const closed = await startSite(t, handler)
  closed.server.close()
  t.equal((await proxy.get(`http://127.0.0.1:${closed.port}/`)).status, 502)
  const never = await proxy.client()
  never.write(`GET http://127.0.0.1:${site.port}/never HTTP/1.1\r\nHost: a\r\n\r\n`)
  await asked
  await proxy.app.close()
  const entries = entriesOf(file)
  t.match(
    entries[0]!.response, { status: 200, _error: String, content: { text: Buffer.from('cut').toString('base64') } }
  )
  t.match(entries[1]!.response, { status: 0, httpVersion: '', _error: /No connection/ })
  t.match(entries[2]!.response, { status: 0, _error: /the recording ended/ })
})

t.test('JSON is redacted whatever the value of a secret is', async (t) => {
  const redactor = new Redactor()
  const cases: Array<[text: string, redacted: string]> = [
    ['{ "n":12345678901234567890 }', '{ "n":12345678901234567890 }'],
    ['{"a":{"password":"x\\"y"},"api_key" : 7}', '{"a":{"password":"redacted"},"api_key" : "redacted"}'],
    ['{"apiKey":["x","y"],"b":[1,null]}', '{"apiKey":"redacted","b":[1,null]}'],
    ['{"password":{"value":"x"},"passwd":null}', '{"password":"redacted","passwd":null}'],
    ['{"password":["x"', 'redacted']
  ]
  for (const [text, redacted] of cases) t.equal(redactor.text('application/json', text), redacted, text)
})

t.test('redacts what it is told, or nothing', async (t) => {
  const site = await startSite(t, handler)
  const record = async (redact: har.HarOptions['redact']): Promise<har.HarEntry> => {
    const file = harFile(t, `${String(redact)}.har`)
    const proxy = await startHar(t, { file, mode: 'record', redact })
    await proxy.ask('POST', `http://127.0.0.1:${site.port}/echo?key=k&api_key=secret`, {
      authorization: 'Bearer secret', 'x-mine': 'secret', 'x-api-key': 'k', 'content-type': 'application/json'
    }, '{"user":{"passWord":"a\\"b","myKey":-1.5e3,"other":null}}')
    await proxy.app.close()
    return entriesOf(file)[0]!
  }
  const field = (
    { request }: har.HarEntry, name: string
  ): string | undefined => request.headers.find((each) => each.name === name)?.value
  const byDefault = await record(undefined)
  t.strictSame([
    field(byDefault, 'authorization'), field(byDefault, 'x-mine'), field(byDefault, 'x-api-key')
  ], ['Bearer redacted', 'secret', 'redacted'])
  t.match(byDefault.request.url, /\?key=k&api_key=redacted$/)
  t.equal(byDefault.request.postData!.text, '{"user":{"passWord":"redacted","myKey":-1.5e3,"other":null}}')
  const mine = await record(['x_mine', 'my-key', 'other'])
  t.strictSame([field(mine, 'authorization'), field(mine, 'x-mine')], ['Bearer secret', 'redacted'])
  t.equal(mine.request.postData!.text, '{"user":{"passWord":"a\\"b","myKey":"redacted","other":null}}')
  for (const none of [false, []] as const) t.match(JSON.stringify(await record(none)), /Bearer secret/)
})

t.test('update keeps what others wrote in the file, and writes nothing when nothing is new', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, handler)
  const url = `http://127.0.0.1:${site.port}/page`
  writeFileSync(file, harText([entry('GET', 'http://a.test/')], { pages: [{ id: 'page_1' }], comment: 'mine' }))
  const before = readFileSync(file, 'utf8')
  const update = async (urls: string[]): Promise<string[]> => {
    const proxy = await startHar(t, { file, mode: 'update' })
    const bodies: string[] = []
    for (const each of urls) bodies.push((await proxy.get(each)).body)
    await proxy.app.close()
    return bodies
  }
  t.strictSame(await update(['http://a.test/']), [''])
  t.equal(readFileSync(file, 'utf8'), before)
  t.strictSame(await update([url, url]), ['page', 'page'])
  t.match(
    JSON.parse(readFileSync(file, 'utf8')).log, { comment: 'mine', pages: [{ id: 'page_1' }], creator: { name: 'a' } }
  )
  t.strictSame(entriesOf(file).map(({ request }) => request.url), ['http://a.test/', url, url])
  t.strictSame(await update([url]), ['page'])
  t.equal(site.seen.length, 2)
})

t.test('records a site that speaks before it was asked, and content that is no UTF-8', async (t) => {
  const file = harFile(t)
  const raw = await startRaw(t, (socket) => socket.end('HTTP/1.0 200 \r\nContent-Length: 2\r\n\r\nok'))
  const proxy = await startHar(t, { file, mode: 'record' })
  await proxy.ask('POST', `http://127.0.0.1:${raw.port}/`, {}, 'x')
  const client = await proxy.client()
  client.write(Buffer.concat([
    Buffer.from(
      `POST http://127.0.0.1:${raw.port}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n`
    ), Buffer.from([0xff])
  ]))
  await client.response()
  await proxy.app.close()
  const [first, second] = entriesOf(file)
  t.match(first!.response, { status: 200, httpVersion: 'HTTP/1.0', content: { mimeType: 'x-unknown' } })
  t.match(second!.request.postData, { mimeType: 'application/octet-stream', text: '/w==', encoding: 'base64' })
})

t.test('redacts members of forms, and keeps no more than 16 MiB of messages', async (t) => {
  const form = 'application/x-www-form-urlencoded'
  t.equal(new Redactor().text(form, 'user[password]=a&n=1'), 'user[password]=redacted&n=1')
  const entries: har.HarEntry[] = []
  const exchange = {
    id: '1', request: {} as never, url: 'http://a.test/', method: 'GET', startedAt: Date.now(), webSocket: true
  }
  const options = { files: new BodyFiles(harFile(t)), redactor: new Redactor(), inlineLimit: 10 }
  const done = new Promise<void>((resolve) => {
    const sink = new HarSink(exchange, options, (each) => {
      entries.push(each!)
      resolve()
    })
    sink.message('server', Buffer.alloc(16 * 1024 * 1024), true)
    sink.message('server', Buffer.alloc(1), true)
    sink.cut()
    sink.cut()
    t.equal(sink.responseData(Buffer.from('late')), undefined)
  })
  await done
  t.match(entries, [{ comment: /more messages/, response: { content: { size: 0 } } }])
  t.equal(entries[0]!._webSocketMessages!.length, 1)
})
