import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import websocket from '@fastify/websocket'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { base32 } from '../../warc/digest'
import type warc from '../../warc/index'
import { targetUri } from '../../warc/records'
import { recordable } from '../../warc/request-fields'
import { startRaw, startSite } from '../forward/support'
import type { Handler } from '../forward/support'
import { connect } from '../support/raw'
import { filesIn, forwardAll, recordsIn, startRecorder } from './support'
import type { ReadRecord } from './support'

const NAME = /^site-\d{17}-\d{5}-[0-9a-f]{8}\.warc\.gz$/

const handler: Handler = (request, response) => {
  const { pathname } = new URL(request.url!, 'http://a')
  switch (pathname) {
    case '/gzip':
      response.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' })
      return response.end(gzipSync('<p>gzip</p>'))
    case '/chunked':
      // Node's server of HTTP/2 takes ASCII alone.
      if (request.httpVersion === '1.1') response.setHeader('X-Latin-1', 'é')
      response.writeHead(200, { 'content-type': 'text/plain', 'X-Twice': ['1', '2'] })
      response.write('one ')
      return response.end('two')
    case '/echo': return request.pipe(response)
    case '/large': return response.writeHead(200, { 'content-type': 'text/plain' }).end('large '.repeat(500_000))
    case '/empty': return response.writeHead(204).end()
    case '/moved': return response.writeHead(302, { location: '/page' }).end('moved')
    default: return response.writeHead(200, { 'content-type': 'text/plain', etag: '"1"' }).end('page')
  }
}

function of (records: readonly ReadRecord[], type: string, path: string): ReadRecord[] {
  return records.filter(({ type: each, fields }) => each === type &&
    new URL(fields['warc-target-uri'] ?? 'http://none/').pathname === path)
}

t.test('digests are in base32 as RFC 4648 has it, without padding', async (t) => {
  const vectors: Array<[string, string]> = [
    ['', ''], ['f', 'MY'], ['fo', 'MZXQ'], ['foo', 'MZXW6'], ['foob', 'MZXW6YQ'], ['fooba', 'MZXW6YTB'],
    ['foobar', 'MZXW6YTBOI']
  ]
  for (const [text, encoded] of vectors) t.equal(base32(Buffer.from(text)), encoded)
})

t.test('writes a request and a response for each exchange, of HTTP/1.1 and HTTP/2', async (t) => {
  const directory = join(t.testdir(), 'made', 'archive')
  const plain = await startSite(t, handler)
  const secure = await startSite(t, handler, { http2: true })
  const info = { operator: 'é', description: 'a test' }
  const proxy = await startRecorder(t, { directory, prefix: 'site', dedup: false, info })
  for (const path of ['/chunked?a=1#fragment', '/gzip', '/empty', '/moved', '/caf%C3%A9']) {
    for (const origin of [`http://127.0.0.1:${plain.port}`, `https://localhost:${secure.port}`]) {
      const { status, body } = await proxy.ask(
        'GET', `${origin}${path}`, { cookie: 'a=1', 'accept-encoding': 'gzip, zstd' })
      t.ok(status < 400, `${path} is answered ${body.slice(0, 100)}`)
    }
  }
  await proxy.ask('POST', `http://127.0.0.1:${plain.port}/echo`, { 'content-type': 'text/plain' }, 'posted')
  const [open] = filesIn(directory)
  t.match(open, /\.warc\.gz\.open$/)
  await proxy.app.close()
  const names = filesIn(directory)
  t.equal(names.length, 1)
  t.match(names[0], NAME)
  t.equal(open, `${names[0]!}.open`)

  const records = await recordsIn(directory)
  t.equal(records.length, 1 + 11 * 2)
  const [first] = records
  t.match(first, {
    type: 'warcinfo', fields: { 'warc-filename': names[0]!, 'content-type': 'application/warc-fields' }
  })
  t.match(String(first!.block), /^software: fastify-prox\/\d.*\r\nformat: WARC File Format 1\.1\r\n/)
  t.match(String(first!.block), /\r\noperator: é\r\ndescription: a test\r\n$/)
  for (let i = 1; i < records.length; i += 2) {
    const [response, request] = [records[i]!.fields, records[i + 1]!.fields]
    t.equal(response['warc-concurrent-to'], request['warc-record-id'])
    t.equal(request['warc-concurrent-to'], response['warc-record-id'])
    t.equal(response['warc-date'], request['warc-date'])
    t.match(response['warc-date'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    t.match(response['warc-record-id'], /^<urn:uuid:[0-9a-f-]{36}>$/)
    t.equal(response['warc-warcinfo-id'], first!.fields['warc-record-id'])
    t.equal(response['warc-ip-address'], '127.0.0.1')
    t.equal(response['content-type'], 'application/http; msgtype=response')
    t.equal(request['content-type'], 'application/http; msgtype=request')
    t.notOk('warc-truncated' in response || 'warc-truncated' in request)
  }
  const [chunked, chunked2] = of(records, 'response', '/chunked')
  t.equal(chunked!.fields['warc-target-uri'], `http://127.0.0.1:${plain.port}/chunked?a=1`)
  t.match(chunked!.head, /^HTTP\/1\.1 200 OK\r\n/)
  t.match(chunked!.head, /\r\nX-Latin-1: é\r\n.*\r\nX-Twice: 1\r\nX-Twice: 2\r\n/s)
  t.notMatch(chunked!.head, /transfer-encoding/i)
  t.equal(String(chunked!.body), 'one two')
  t.equal(chunked!.fields['warc-protocol'], 'http/1.1')
  t.notOk('warc-cipher-suite' in chunked!.fields)
  t.match(chunked2!.head, /^HTTP\/1\.1 200 OK\r\ncontent-type: text\/plain\r\n/)
  t.notMatch(chunked2!.head, /\r\n:status/)
  t.match(chunked2!.fields, { 'warc-protocol': 'h2, tls/1.3', 'warc-cipher-suite': /^TLS_/ })
  const [request, request2] = of(records, 'request', '/chunked')
  t.match(request!.head, /^GET \/chunked\?a=1 HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/)
  t.match(request!.head, /\r\naccept-encoding: gzip\r\n/)
  t.match(request2!.head, /^GET \/chunked\?a=1 HTTP\/1\.1\r\nHost: localhost:\d+\r\n/)
  t.match(request2!.head, /\r\naccept-encoding: gzip\r\n/)
  t.notMatch(request2!.head, /\r\n:/)
  t.equal(of(records, 'response', '/gzip')[0]!.body.toString('hex').slice(0, 4), '1f8b', 'content codings stay')
  t.equal(of(records, 'response', '/empty').length, 2)
  t.equal(of(records, 'response', '/caf%C3%A9').length, 2)
  const [echo] = of(records, 'request', '/echo')
  t.match(echo!.head, /^POST \/echo HTTP\/1\.1\r\n/)
  t.equal(String(echo!.body), 'posted')
})

t.test('URLs in records are the bytes that were asked for', async (t) => {
  const uris: Array<[string, string]> = [
    ['http://a.test/a|b?c={d}#e', 'http://a.test/a|b?c={d}'],
    ['http://a.test/\u00c3\u00a9', 'http://a.test/%C3%A9'],
    ['http://a.test/a b', 'http://a.test/a%20b'],
    ['http://a.test/\u20ac', 'http://a.test/%E2%82%AC'],
    ['http://a.test/\u{1f600}', 'http://a.test/%F0%9F%98%80']
  ]
  for (const [url, uri] of uris) t.equal(targetUri(url), uri)
})

t.test('asks the site for the content, and in codings that can be replayed', async (t) => {
  const cases: Array<[method: string, given: string[], kept: string[]]> = [
    ['GET', ['If-None-Match', '"1"', 'If-Modified-Since', 'x', 'A', 'b'], ['A', 'b']],
    ['HEAD', ['if-none-match', '"1"'], []],
    ['GET', ['Range', 'bytes=0-1', 'If-Range', '"1"'], []],
    ['GET', ['Range', 'bytes=0-1'], ['Range', 'bytes=0-1']],
    ['PUT', ['If-Match', '"1"', 'If-None-Match', '*'], ['If-Match', '"1"', 'If-None-Match', '*']],
    ['GET', ['Accept-Encoding', 'gzip, deflate, br;q=1.0, zstd'], ['Accept-Encoding', 'gzip, deflate, br;q=1.0']],
    ['GET', ['Accept-Encoding', 'zstd'], ['Accept-Encoding', 'identity']]
  ]
  for (const [method, given, kept] of cases) t.strictSame(recordable(method, given), kept)
  const directory = t.testdir()
  const site = await startSite(t, handler)
  const proxy = await startRecorder(t, { directory })
  await proxy.get(`http://127.0.0.1:${site.port}/page`, { 'if-none-match': '"1"' })
  t.notOk('if-none-match' in site.seen[0]!.headers)
  await proxy.app.close()
})

t.test('content that was recorded before becomes a revisit, unless that is turned off', async (t) => {
  for (const dedup of [undefined, false]) {
    const directory = t.testdir()
    const site = await startSite(t, handler)
    const proxy = await startRecorder(t, { directory, dedup })
    for (const path of ['/page', '/page?again', '/empty', '/empty']) {
      await proxy.get(`http://127.0.0.1:${site.port}${path}`)
    }
    await proxy.app.close()
    const records = await recordsIn(directory)
    const types = records.map(({ type }) => type).filter((type) => type !== 'request')
    const second = dedup === false ? 'response' : 'revisit'
    t.strictSame(types, ['warcinfo', 'response', second, 'response', 'response'])
    if (dedup === false) continue
    const [original, revisit] = [of(records, 'response', '/page')[0]!, of(records, 'revisit', '/page')[0]!]
    t.match(revisit.fields, {
      'warc-profile': 'http://netpreserve.org/warc/1.1/revisit/identical-payload-digest',
      'warc-refers-to': original.fields['warc-record-id']!,
      'warc-refers-to-target-uri': original.fields['warc-target-uri']!,
      'warc-refers-to-date': original.fields['warc-date']!,
      'warc-payload-digest': original.fields['warc-payload-digest']!
    })
    t.match(revisit.head, /^HTTP\/1\.1 200 OK\r\n/)
    t.equal(revisit.body.length, 0)
  }
})

t.test('large bodies are written of a file that nobody sees, both ways', async (t) => {
  const directory = t.testdir()
  const site = await startSite(t, handler)
  const proxy = await startRecorder(t, { directory, dedup: false })
  const large = 'large '.repeat(500_000)
  await proxy.get(`http://127.0.0.1:${site.port}/large`)
  t.equal((await proxy.ask('POST', `http://127.0.0.1:${site.port}/echo`, {}, large)).body.length, large.length)
  t.equal(filesIn(directory).length, 1)
  await proxy.app.close()
  const records = await recordsIn(directory)
  t.equal(String(of(records, 'response', '/large')[0]!.body), large)
  t.equal(String(of(records, 'request', '/echo')[0]!.body), large)
})

t.test('a file that has reached its size is finished, and the next one begun', async (t) => {
  const directory = t.testdir()
  const site = await startSite(t, handler)
  const proxy = await startRecorder(t, { directory, prefix: 'site', rotate: '1 kB', dedup: false })
  for (let i = 0; i < 6; i++) await proxy.get(`http://127.0.0.1:${site.port}/page`)
  await proxy.app.close()
  const names = filesIn(directory)
  t.ok(names.length > 1)
  t.ok(names.every((name) => NAME.test(name)))
  t.strictSame(names.map((name) => Number(name.split('-')[2])), names.map((_name, i) => i))
  const records = await recordsIn(directory)
  t.equal(records.filter(({ type }) => type === 'warcinfo').length, names.length)
  t.equal(of(records, 'response', '/page').length, 6)
})

t.test('a file in which nothing was recorded is removed', async (t) => {
  const directory = t.testdir()
  const proxy = await startRecorder(t, { directory })
  t.equal(filesIn(directory).length, 1)
  await proxy.app.close()
  t.strictSame(filesIn(directory), [])
})

t.test('says of a message that was cut short why', async (t) => {
  const directory = t.testdir()
  const site = await startRaw(t, (socket, head) => {
    const path = head.split(' ')[1]!
    if (path === '/never') return
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut', () => {
      if (path === '/cut') socket.destroy()
    })
  })
  const more = { fastify: { forceCloseConnections: true } }
  const proxy = await startRecorder(t, { directory, dedup: true }, forwardAll, more)
  const url = (path: string): string => `http://127.0.0.1:${site.port}${path}`
  const cut = await proxy.client()
  cut.write(`GET ${url('/cut')} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await once(cut.socket, 'close')
  const left = await proxy.client()
  left.write(`GET ${url('/never')} HTTP/1.1\r\nHost: a\r\n\r\n`)
  left.socket.destroy()
  const posting = await proxy.client()
  posting.write(`POST ${url('/hangs')} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegun`)
  await once(posting.socket, 'data')
  await proxy.app.close()
  const records = await recordsIn(directory)
  t.equal(records.length, 5, 'what has no response is not recorded')
  const [response] = of(records, 'response', '/cut')
  t.equal(response!.fields['warc-truncated'], 'disconnect')
  t.equal(String(response!.body), 'cut')
  const [hung] = of(records, 'response', '/hangs')
  t.equal(hung!.fields['warc-truncated'], 'unspecified', 'and is no revisit')
  const [request] = of(records, 'request', '/hangs')
  t.equal(request!.fields['warc-truncated'], 'unspecified')
  t.equal(String(request!.body), 'begun')
})

t.test('WebSockets go on, and are not recorded', async (t) => {
  const directory = t.testdir()
  const site = await startSite(t, handler)
  const wss = new WebSocketServer({ server: site.server as never })
  wss.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })))
  const proxy = await startRecorder(t, { directory }, async (app) => {
    await app.register(websocket)
    app.get('/*', { websocket: true, config: { forward: true } }, (socket, request) => request.forwardSocket(socket))
  })
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${site.port}/live`, { agent })
  await once(client, 'open')
  client.send('text')
  t.equal(String((await once(client, 'message'))[0]), 'text')
  client.close()
  await once(client, 'close')
  await proxy.app.close()
  t.strictSame(filesIn(directory), [])
})

t.test('two recorders share a folder', async (t) => {
  const directory = t.testdir()
  const site = await startSite(t, handler)
  const proxies = [await startRecorder(t, { directory }), await startRecorder(t, { directory })]
  await Promise.all(proxies.map(async (proxy) => await proxy.get(`http://127.0.0.1:${site.port}/page`)))
  for (const { app } of proxies) await app.close()
  t.equal(filesIn(directory).length, 2)
  t.equal(of(await recordsIn(directory), 'response', '/page').length, 2)
})

t.test('says at the start what is wrong', async (t) => {
  const directory = t.testdir({ file: '' })
  const wrong: Array<[unknown, object]> = [
    [{}, { code: 'FST_PROX_INVALID_OPTION', message: /directory/ }],
    [{ directory, rotate: '1 XB' }, { message: /'1GB'/ }],
    [{ directory, rotate: 'large' }, { message: /'1GB'/ }],
    [{ directory, rotate: 0 }, { code: 'FST_PROX_INVALID_OPTION' }],
    [{ directory, prefix: '../x' }, { code: 'FST_PROX_INVALID_OPTION' }],
    [{ directory, info: { operator: 'a\r\nb' } }, { code: 'FST_PROX_INVALID_OPTION' }],
    [{ directory, rotation: 1 }, { code: 'FST_PROX_UNKNOWN_OPTION' }],
    [{ directory: join(directory, 'file') }, { code: 'FST_PROX_WARC_NOT_WRITABLE' }]
  ]
  for (const [options, error] of wrong) await t.rejects(startRecorder(t, options as warc.WarcOptions), error as Error)
  mkdirSync(join(directory, 'folder'))
  writeFileSync(join(directory, 'folder', 'x'), '')
  const proxy = await startRecorder(t, { directory: join(directory, 'folder'), rotate: '1.5MiB' })
  await proxy.app.close()
  t.ok(existsSync(join(directory, 'folder', 'x')))
  t.equal(readFileSync(join(directory, 'folder', 'x'), 'utf8'), '')
})

t.test('brotli stays as it came', async (t) => {
  const directory = t.testdir()
  const content = brotliCompressSync('brotli')
  const site = await startSite(t, (_request, response) => {
    response.writeHead(200, { 'content-encoding': 'br' }).end(content)
  })
  const proxy = await startRecorder(t, { directory })
  const client = await connect(t, { host: '127.0.0.1', port: proxy.port })
  await client.ask('GET', `http://127.0.0.1:${site.port}/`, { 'accept-encoding': 'br' })
  await proxy.app.close()
  t.strictSame(of(await recordsIn(directory), 'response', '/')[0]!.body, content)
})
