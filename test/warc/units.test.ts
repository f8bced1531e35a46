/** What no site and no archive of the other tests brings about. */
import fs from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { answerOf } from '../../warc/answer'
import { Archive } from '../../warc/archive'
import { ByteReader } from '../../warc/bytes'
import { openCapture } from '../../warc/content'
import { sortLines } from '../../warc/indexing'
import { connectionFields, responseHead } from '../../warc/records'
import { WarcSink } from '../../warc/sink'
import type { Captured } from '../../warc/sink'
import type { ExchangeConnection } from '../../types/forward'
import { Log } from '../support/log'
import { record, startReplay, startSocket, warcFile } from './support'

const connection: ExchangeConnection = {
  remoteAddress: '::ffff:192.0.2.1',
  remotePort: 443,
  tlsVersion: 'TLSv1',
  cipher: 'AES128-SHA',
  alpn: null,
  via: null,
  reused: false,
  timings: { resolve: 0, connect: 0, secure: 0 }
}

t.test('a head or a line that is longer than its limit is none', async (t) => {
  const reader = (): ByteReader => new ByteReader([Buffer.from('a line\r\nanother\r\n\r\nrest')])
  t.equal(await reader().head(10), null)
  t.equal(String(await reader().head(19)), 'a line\r\nanother\r\n\r\n')
  t.equal(await reader().line(3), null)
  t.equal(await reader().line(100), 'a line')
  t.equal(await new ByteReader([Buffer.from('no end')]).line(100), null)
})

t.test('a head or a line is read across the pieces that it comes in', async (t) => {
  const pieces = ['a li', 'ne\r', '\nA: 1\r\n', '\r\nrest'].map((piece) => Buffer.from(piece))
  const reader = new ByteReader(pieces)
  t.equal(await reader.line(100), 'a line')
  t.equal(String(await reader.head(100)), 'A: 1\r\n\r\n')
  t.equal(String(reader.takeNow(4)), 'rest')
  t.equal(String(await new ByteReader(pieces).head(100)), 'a line\r\nA: 1\r\n\r\n')
})

t.test('lines are sorted by their bytes, whatever they hold', async (t) => {
  t.strictSame(sortLines(['b', 'a', 'c', 'a']), ['a', 'a', 'b', 'c'])
  // In the order of UTF-16, the last would be before the second.
  t.strictSame(sortLines(['\u{1f600}', '\uffe6', 'a']), ['a', '\uffe6', '\u{1f600}'])
})

t.test('content in chunks that is gone when its length is asked for is sent as it is', async (t) => {
  const head = 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked'
  const file = warcFile(t, [record({ url: 'http://a.test/', head, body: '3\r\none\r\n0\r\n\r\n' })])
  const archive = await Archive.open({ files: file, warn: () => {} })
  t.teardown(async () => await archive.close())
  const [capture] = archive.find('test,a)/')
  const archived = await openCapture(archive, capture!)
  truncateSync(file)
  const { statusCode, rawHeaders, body } = await answerOf(archived!, {
    method: 'GET',
    headers: { range: 'bytes=1-1' },
    more: [],
    again: async () => await openCapture(archive, capture!)
  })
  t.strictSame([statusCode, rawHeaders], [200, []])
  t.equal(String(Buffer.concat(await (body as Readable).toArray())), 'one')
})

t.test('how a site was spoken to', async (t) => {
  t.strictSame(Object.fromEntries(connectionFields(connection).slice(2)), {
    'WARC-Protocol': 'tls/1.0', 'WARC-Cipher-Suite': 'AES128-SHA'
  })
  t.strictSame(connectionFields(connection)[0], ['WARC-IP-Address', '192.0.2.1'])
  const none = ['WARC-IP-Address', null]
  t.strictSame(connectionFields({ ...connection, via: 'http://proxy.test' })[0], none)
  t.strictSame(connectionFields({ ...connection, remoteAddress: undefined })[0], none)
  const line = (httpVersion: string, statusCode: number): string =>
    String(responseHead({ httpVersion, statusCode, statusMessage: '', rawHeaders: [] }))
  t.equal(line('1.0', 200), 'HTTP/1.0 200 \r\n\r\n')
  t.equal(line('2', 200), 'HTTP/1.1 200 OK\r\n\r\n')
  t.equal(line('2', 299), 'HTTP/1.1 299 \r\n\r\n')
})

t.test('a body whose file fails at the end of the exchange is told of', async (t) => {
  const directory = t.testdir()
  const log = new Log()
  const ended: Array<Captured | null> = []
  const request = { log: log.logger } as never
  const exchange = { id: '1', request, url: 'http://a.test/', method: 'POST', startedAt: 0, webSocket: false }
  const sink = new WarcSink(exchange, directory, { ended: (each) => ended.push(each), queueDrained: () => undefined })
  t.equal(sink.requestData(Buffer.from('early')), undefined)
  sink.request({ method: 'POST', url: exchange.url, path: '/', httpVersion: '1.1', rawHeaders: [] }, connection)
  sink.response({ httpVersion: '1.1', statusCode: 200, statusMessage: 'OK', rawHeaders: [] })
  const handle = await fs.open(join(directory, '..'))
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  const { appendFile } = prototype
  t.teardown(() => { prototype.appendFile = appendFile })
  prototype.appendFile = async () => { throw new Error('no space left') }
  const writing = sink.responseData(Buffer.alloc(2_000_000)) as Promise<void>
  const cut = sink.cut()
  await t.resolves(writing)
  await cut
  t.strictSame(ended, [null])
  t.equal(log.count(/could not be recorded/), 1)
  t.equal(sink.responseData(Buffer.from('late')), undefined)
})

t.test('the methods of requests, whose records come before or behind, with a digest or without', async (t) => {
  const id = (n: number): Record<string, string> => ({ 'WARC-Record-ID': `<urn:uuid:${n}>` })
  const post = (body: string, more: object): Buffer =>
    record({ type: 'request', url: 'http://a.test/', head: 'POST / HTTP/1.1', body, fields: more as never })
  const answer = (body: string, more: object): Buffer =>
    record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK', body, fields: more as never })
  const records = [
    post('one', id(1)),
    answer('to one', { ...id(2), 'WARC-Concurrent-To': '<urn:uuid:1>' }),
    answer('to none', id(3)),
    post('', { ...id(4), 'WARC-Concurrent-To': '<urn:uuid:3>' }),
    record({ type: 'request', url: 'http://a.test/', head: 'nonsense', fields: id(5) }),
    record({ type: 'request', url: 'http://a.test/', body: 'nonsense', fields: { 'Content-Type': 'application/http' } })
  ]
  const proxy = await startReplay(t, { files: warcFile(t, records) })
  t.equal((await proxy.ask('POST', 'http://a.test/', {}, 'one')).body, 'to one')
  t.equal((await proxy.ask('POST', 'http://a.test/', { 'content-length': '0' })).body, 'to none')
  t.equal((await proxy.get('http://a.test/')).status, 404)
})

t.test('parts of content whose length is not known, or of which nothing is asked', async (t) => {
  const part = (range: string): Buffer => record({
    url: `http://a.test/${range.length}`,
    head: `HTTP/1.1 206 Partial Content\nContent-Range: ${range}`,
    body: '0123456789'
  })
  const whole = record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK\nContent-Range: x', body: '0123456789' })
  const proxy = await startReplay(t, { files: warcFile(t, [part('bytes 10-19/*'), part('nonsense'), whole]) })
  const ask = async (path: string, range: string): Promise<[number, string | undefined, string]> => {
    const { status, headers, body } = await proxy.get(`http://a.test/${path}`, { range })
    return [status, headers['content-range'], status < 300 ? body : '']
  }
  t.strictSame(await ask('13', 'bytes=12-13'), [206, 'bytes 12-13/*', '23'])
  t.strictSame(await ask('13', 'bytes=-5'), [404, undefined, ''])
  t.strictSame(await ask('8', 'bytes=0-'), [404, undefined, ''])
  t.strictSame(await ask('', 'bytes=-0'), [416, 'bytes */10', ''])
  t.strictSame(await ask('', 'bytes=-50'), [206, 'bytes 0-9/10', '0123456789'])
})

t.test('a request that did not come by the proxy is asked for at the URL of the server', async (t) => {
  const file = warcFile(t, [record({ url: 'http://localhost/a', head: 'HTTP/1.1 200 OK', body: 'a' })])
  const proxy = await startReplay(t, { files: file })
  t.equal((await proxy.app.inject({ url: '/a', headers: { host: 'localhost' } })).body, 'a')
})

t.test('indexes and files that are broken in the middle', async (t) => {
  const file = warcFile(t, [record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK', body: 'a' })])
  const line = { url: 'http://b.test/', offset: '0', length: '100000', filename: 'made.warc.gz', truncated: 'time' }
  const lines = [
    'test,a)/ 20260101 {torn}',
    `test,b)/ 20260101 ${JSON.stringify(line)}`,
    `test,c)/ 20260101 ${JSON.stringify({ ...line, url: 'http://c.test/', offset: '7' })}`,
    `test,d)/ 20260101 ${JSON.stringify({ ...line, url: 'http://d.test/', offset: '-7' })}`,
    'x'.repeat(2 * 1024 * 1024)
  ]
  writeFileSync(`${file}.cdxj`, lines.join('\n'))
  const proxy = await startReplay(t, { files: file })
  t.equal((await proxy.get('http://b.test/')).body, 'a', 'a length that is too long does no harm')
  for (const host of ['a', 'c', 'd', 'z']) t.equal((await proxy.get(`http://${host}.test/`)).status, 404)

  const whole = join(t.testdir(), 'whole.warc.gz')
  const two = Buffer.concat(['/1', '/2'].map((path) => record({
    url: `http://a.test${path}`, head: 'HTTP/1.1 200 OK', body: 'x'.repeat(2_000_000)
  })))
  writeFileSync(whole, Buffer.concat([gzipSync(two), gzipSync(two).subarray(0, 2000)]))
  await t.rejects(startReplay(t, { files: whole }), { code: 'FST_PROX_WARC_UNREADABLE', message: /unexpected end/ })
  truncateSync(whole, 30)
  await t.rejects(startReplay(t, { files: whole }), { message: /it is not a WARC file/ })
  await t.rejects(startReplay(t, { files: await startSocket(t) }), { message: /ENXIO/ })
})
