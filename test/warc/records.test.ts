/** Records that lack what others have, captures that are alike, and which files and methods are replayed. */
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { start } from '../support/proxy'
import warc from '../../warc/index'
import { record, startReplay, warcFile } from './support'

const OK = 'HTTP/1.1 200 OK'

const page = record({ url: 'http://a.test/', head: OK, body: 'page' })

/** A record without a field, or with another line in its place. */
function edited (made: Buffer, field: string, line = ''): Buffer {
  return Buffer.from(String(made).replace(new RegExp(`^${field}: .*\r\n`, 'm'), line))
}

t.test('records without a date are replayed, those without a type or a response are not', async (t) => {
  const at = (path: string): Buffer => record({ url: `http://a.test/${path}`, head: OK, body: path })
  const records = [
    edited(at('undated'), 'WARC-Date'),
    edited(at('untyped'), 'WARC-Type'),
    edited(at('colon'), 'WARC-Date', 'nonsense\r\n'),
    record({ url: 'http://a.test/none', head: 'nonsense', body: 'none' })
  ]
  const proxy = await startReplay(t, { files: warcFile(t, records) })
  for (const path of ['undated', 'colon']) t.equal((await proxy.get(`http://a.test/${path}`)).body, path)
  for (const path of ['untyped', 'none']) t.equal((await proxy.get(`http://a.test/${path}`)).status, 404)
})

t.test('what is no record ends what is replayed of a file', async (t) => {
  const gzip = gzipSync(page)
  const header = (...bytes: number[]): Buffer => Buffer.from([0x1f, 0x8b, ...bytes])
  const ends: Array<[name: string, rest: Buffer]> = [
    ['made.warc', edited(page, 'Content-Length')],
    ['made.warc.gz', gzipSync('')],
    ['made.warc.gz', Buffer.from('short')],
    ['made.warc.gz', Buffer.from('text that is no gzip member')],
    ['made.warc.gz', Buffer.concat([header(7), gzip.subarray(3)])],
    ['made.warc.gz', header(8, 0, 0, 0, 0, 0, 0, 0)],
    ['made.warc.gz', header(8, 4, 0, 0, 0, 0, 0, 0)],
    ['made.warc.gz', header(8, 4, 0, 0, 0, 0, 0, 0, 1)]
  ]
  for (const [name, rest] of ends) {
    const first = name.endsWith('.gz') ? gzip : page
    const file = join(t.testdir(), name)
    writeFileSync(file, Buffer.concat([first, rest]))
    const proxy = await startReplay(t, { files: file })
    t.equal((await proxy.get('http://a.test/')).body, 'page')
    t.strictSame(proxy.log.messages('warn'), [
      `fastify-prox: ${file} is broken from byte ${first.length} on; what is before is replayed`
    ])
  }
})

t.test('a plain file that became shorter ends the connection before the content', async (t) => {
  const file = warcFile(t, [record({ url: 'http://a.test/', head: OK, body: 'x'.repeat(400_000) })], 'made.warc')
  const proxy = await startReplay(t, { files: file })
  truncateSync(file, 100_000)
  const client = await proxy.client()
  client.write('GET http://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n')
  const answer = await client.closed()
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*content-length: 400000\r\n/i)
  t.ok(answer.length < 100_000, `${answer.length} bytes have come`)
})

t.test('of captures of one second, the later one in the file is the answer', async (t) => {
  const records = ['first', 'second', 'third'].map((body) => record({ url: 'http://a.test/', head: OK, body }))
  const proxy = await startReplay(t, { files: warcFile(t, records) })
  t.equal((await proxy.get('http://a.test/')).body, 'third')
})

t.test('the end of content is answered of the part that has it', async (t) => {
  const part = (path: string, range?: string): Buffer => record({
    url: `http://a.test/${path}`,
    head: `HTTP/1.1 206 Partial Content${range === undefined ? '' : `\nContent-Range: bytes ${range}`}`,
    body: '0123456789'
  })
  const records = [part('end', '90-99/100'), part('middle', '50-59/100'), part('nothing')]
  const proxy = await startReplay(t, { files: warcFile(t, records) })
  const ask = async (path: string, range: string): Promise<[number, string | undefined, string]> => {
    const { status, headers, body } = await proxy.get(`http://a.test/${path}`, { range })
    return [status, headers['content-range'], status < 300 ? body : '']
  }
  t.strictSame(await ask('end', 'bytes=-4'), [206, 'bytes 96-99/100', '6789'])
  t.strictSame(await ask('end', 'bytes=-10'), [206, 'bytes 90-99/100', '0123456789'])
  t.strictSame(await ask('end', 'bytes=-11'), [404, undefined, ''])
  t.strictSame(await ask('middle', 'bytes=-4'), [404, undefined, ''])
  t.strictSame(await ask('nothing', 'bytes=0-4'), [404, undefined, ''])
  t.equal((await proxy.get('http://a.test/nothing')).status, 404)
})

t.test('content in a coding that is not known is sent as it is', async (t) => {
  const coded = record({ url: 'http://a.test/', head: `${OK}\nContent-Encoding: other`, body: 'coded' })
  const proxy = await startReplay(t, { files: warcFile(t, [coded]) })
  t.match(await proxy.get('http://a.test/'), { status: 200, body: 'coded', headers: { 'content-encoding': 'other' } })
})

t.test('a revisit takes its content of no record whose digest is not known', async (t) => {
  const revisit = record({
    type: 'revisit',
    url: 'http://a.test/',
    date: '2026-02-02T00:00:00Z',
    fields: { 'WARC-Payload-Digest': 'sha1:QUSK2B6CV3UX6WBTDXJOLA7P7LX56OSE' }
  })
  const proxy = await startReplay(t, { files: warcFile(t, [page, revisit]) })
  const { body, headers } = await proxy.get('http://a.test/')
  t.equal(body, 'page')
  t.equal(headers['memento-datetime'], 'Thu, 01 Jan 2026 00:00:00 GMT', 'it is the older capture itself')
})

t.test('methods that the application has a route for everything for are its own', async (t) => {
  const id = '<urn:uuid:1>'
  const post = record({
    type: 'request', url: 'http://a.test/', head: 'POST / HTTP/1.1', fields: { 'WARC-Record-ID': id }
  })
  const answer = record({ url: 'http://a.test/', head: OK, body: 'posted', fields: { 'WARC-Concurrent-To': id } })
  const proxy = await start(t, {}, async (app) => {
    app.get('/*', async () => 'own')
    await app.register(warc.replay, { files: warcFile(t, [page, post, answer]) })
  })
  t.equal((await proxy.get('http://a.test/')).body, 'own')
  t.equal((await proxy.ask('POST', 'http://a.test/')).body, 'posted')
})

t.test('patterns match names that begin with a dot if they do so too', async (t) => {
  const directory = t.testdir()
  for (const name of ['a', '.b']) {
    writeFileSync(join(directory, `${name}.warc`), record({ url: `http://a.test/${name}`, head: OK }))
  }
  const cases = [['*.warc', 'a', '.b'], ['.*.warc', '.b', 'a'], ['.?.warc', '.b', 'a']] as const
  for (const [pattern, found, other] of cases) {
    const proxy = await startReplay(t, { files: join(directory, pattern) })
    t.equal((await proxy.get(`http://a.test/${found}`)).status, 200, pattern)
    t.equal((await proxy.get(`http://a.test/${other}`)).status, 404, pattern)
  }
})
