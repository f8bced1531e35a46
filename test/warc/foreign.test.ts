/** WARC files that others wrote, or that nobody finished. */
import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { missing } from '../clients/chromium'
import { startSite } from '../forward/support'
import { connect } from '../support/raw'
import { filesIn, record, recordsOf, startRecorder, startReplay, warcFile } from './support'

const page = record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK\nContent-Type: text/plain', body: 'page' })
const other = record({ url: 'http://a.test/other', head: 'HTTP/1.1 200 OK', body: 'other '.repeat(50_000) })

for (const compressed of [true, false]) {
  const name = compressed ? 'a gzip member a record' : 'plain'
  t.test(`what wget has written is replayed (${name})`, { skip: missing(['wget', 'wget']) }, async (t) => {
    const directory = t.testdir()
    const site = await startSite(t, (request, response) => {
      response.setHeader('content-type', request.url === '/' ? 'text/html' : 'text/plain')
      // In chunks.
      response.write(request.url === '/' ? '<a href="/page?a=1">page</a> ' : 'text ')
      response.end('x'.repeat(100_000))
    })
    const origin = `http://127.0.0.1:${site.port}`
    const args = ['-q', '--recursive', '--warc-file=site', '--no-proxy', ...compressed ? [] : ['--no-warc-compression']]
    await promisify(execFile)('wget', [...args, `${origin}/`], { cwd: directory })
    site.server.close()
    const name = `site.warc${compressed ? '.gz' : ''}`
    t.ok(filesIn(directory).includes(name))
    const proxy = await startReplay(t, { files: join(directory, name) })
    t.equal((await proxy.get(`${origin}/`)).body, `<a href="/page?a=1">page</a> ${'x'.repeat(100_000)}`)
    const part = await proxy.get(`${origin}/page?a=1`, { range: 'bytes=3-9' })
    t.match(part, { status: 206, body: 't xxxxx', headers: { 'content-range': 'bytes 3-9/100005' } })
  })
}

t.test('files that are compressed as a whole, and plain ones', async (t) => {
  const all = Buffer.concat([record({ type: 'warcinfo', body: 'a: b\r\n' }), page, other])
  const forms: Array<[name: string, content: Buffer]> = [
    ['whole.warc.gz', gzipSync(all)],
    ['split.warc.gz', Buffer.concat([gzipSync(all.subarray(0, 300)), gzipSync(all.subarray(300))])],
    ['plain.warc', all],
    ['unix.warc', Buffer.concat([Buffer.from('\n\n'), all])],
    ['named.warc.gz', Buffer.concat([named(page), named(other)])]
  ]
  for (const [name, content] of forms) {
    const file = join(t.testdir(), name)
    writeFileSync(file, content)
    const proxy = await startReplay(t, { files: file })
    t.equal((await proxy.get('http://a.test/')).body, 'page')
    t.equal((await proxy.get('http://a.test/other')).body, 'other '.repeat(50_000))
  }
})

/** A gzip member with everything that its header may have: extra fields, a name, a comment, a check. */
function named (content: Buffer): Buffer {
  const plain = gzipSync(content)
  const header = Buffer.from(plain.subarray(0, 10))
  header[3] = 2 | 4 | 8 | 16
  const whole = Buffer.concat([header, Buffer.from('\x03\x00abcname\0comment\0')])
  // The check of the header is half of the one that gzip has of a content.
  return Buffer.concat([whole, gzipSync(whole).subarray(-8, -6), plain.subarray(10)])
}

t.test('content in chunks, or that only says so; lines that go on; files without HTTP', async (t) => {
  const chunked = 'HTTP/1.1 200 OK\nTransfer-Encoding: chunked'
  const records = [
    record({ url: 'http://a.test/chunks', head: chunked, body: '4;x=y\r\none \r\n3\r\ntwo\r\n0\r\nA: 1\r\n\r\n' }),
    record({ url: 'http://a.test/cut', head: chunked, body: '9\r\none' }),
    record({ url: 'http://a.test/broken', head: chunked, body: '3\r\none\r\nzz' }),
    record({ url: 'http://a.test/not', head: chunked, body: 'not chunked' }),
    record({ url: 'http://a.test/none', head: chunked }),
    record({ url: 'http://a.test/folded', head: 'HTTP/1.0 200\nX-A: 1\n 2\nnonsense\nX-B:\x01\nX-C: c', body: 'x' }),
    record({ type: 'resource', url: 'http://a.test/file', body: 'file', fields: { 'Content-Type': 'text/x-file' } }),
    record({ type: 'resource', url: 'http://a.test/raw', body: 'raw' }),
    record({ type: 'metadata', url: 'http://a.test/meta', body: 'x' }),
    record({ url: 'dns:a.test', body: 'x' }),
    record({ url: 'http://a.test/no-http', body: 'x', fields: { 'Content-Type': 'application/http' } }),
    record({ url: 'http://a.test/dated', date: '2026', head: 'HTTP/1.1 200 OK', body: 'dated' })
  ]
  const proxy = await startReplay(t, { files: warcFile(t, records) })
  const bodies: Record<string, string> = {
    chunks: 'one two', cut: 'one', broken: 'one', not: 'not chunked', none: '', folded: 'x', file: 'file', raw: 'raw'
  }
  for (const [path, body] of Object.entries(bodies)) {
    t.equal((await proxy.get(`http://a.test/${path}`)).body, body, path)
  }
  const folded = (await proxy.get('http://a.test/folded')).headers
  t.match(folded, { 'x-a': '1 2', 'x-c': 'c' })
  t.notOk('x-b' in folded, 'what Node does not write is left out')
  t.equal((await proxy.get('http://a.test/file')).headers['content-type'], 'text/x-file')
  t.equal((await proxy.get('http://a.test/raw')).headers['content-type'], 'application/octet-stream')
  for (const path of ['meta', 'no-http']) t.equal((await proxy.get(`http://a.test/${path}`)).status, 404)
  t.equal((await proxy.get('http://a.test/dated')).headers['memento-datetime'], 'Thu, 01 Jan 2026 00:00:00 GMT')
  t.equal((await proxy.get('http://a.test/chunks', { range: 'bytes=4-' })).body, 'two')
})

t.test('of a file that ends too early, what is before the end is replayed', async (t) => {
  for (const name of ['torn.warc.gz', 'torn.warc']) {
    for (const rest of ['torn', 'WARC/1.0\r\nContent-Length: x\r\n\r\n', 'other protocol\r\n\r\n']) {
      const file = warcFile(t, [page, other], name)
      const { length } = readFileSync(file)
      if (rest === 'torn') truncateSync(file, length - 20)
      else appendFileSync(file, name.endsWith('gz') ? gzipSync(rest) : rest)
      const proxy = await startReplay(t, { files: file })
      t.equal((await proxy.get('http://a.test/')).body, 'page')
      t.match(proxy.log.messages('warn'), [/torn\.warc.* is broken from byte \d+ on/])
    }
  }
})

t.test('what is no archive is refused', async (t) => {
  const directory = t.testdir({ 'text.warc': 'text', 'empty.warc.gz': '', folder: { 'a.txt': '' }, 'a.cdxj': '' })
  writeFileSync(join(directory, 'zeros.warc.gz'), gzipSync('zeros'))
  writeFileSync(join(directory, 'broken.warc.gz'), Buffer.from([0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0, 65]))
  mkdirSync(join(directory, 'dir.warc'))
  symlinkSync(join(directory, 'nowhere'), join(directory, 'link.warc'))
  const at = (name: string): string => join(directory, name)
  const wrong = [
    'text.warc', 'empty.warc.gz', 'zeros.warc.gz', 'broken.warc.gz', 'folder', 'none.warc', '*.gone', 'none/*.warc',
    'text.warc/*.warc'
  ]
  for (const name of wrong) {
    await t.rejects(startReplay(t, { files: at(name) }), { code: 'FST_PROX_WARC_UNREADABLE' }, name)
  }
  await t.rejects(startReplay(t, { files: at('?ext.warc') }), { message: /it is not a WARC file/ })
  const file = warcFile(t, [page])
  await t.rejects(startReplay(t, { files: file, index: at('none.cdxj') }), { code: 'FST_PROX_WARC_UNREADABLE' })
  mkdirSync(join(dirname(file), 'more'))
  writeFileSync(join(dirname(file), 'more', 'made.warc.gz'), readFileSync(file))
  const twice = { files: [file, join(dirname(file), 'm*', '*.warc.gz')], index: file }
  await t.rejects(startReplay(t, twice), { message: /another file has the same name/ })
  const options = [
    {}, { files: [] }, { files: file, date: 'x' }, { files: file, date: 1 }, { files: file, date: new Date(NaN) },
    { files: file, dates: '' }, { files: file, index: 1 }
  ]
  for (const each of options) await t.rejects(startReplay(t, each as never), { code: /OPTION$/ })
})

t.test('records that have gone since, and content that is broken', async (t) => {
  const large = record({ url: 'http://a.test/large', head: 'HTTP/1.1 200 OK', body: randomBytes(400_000) })
  const file = warcFile(t, [page, large])
  const proxy = await startReplay(t, { files: file })
  t.equal((await proxy.get('http://a.test/')).status, 200)
  truncateSync(file, 100_000)
  const client = await proxy.client()
  client.write('GET http://a.test/large HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(await client.closed(), /^HTTP\/1\.1 200 OK/, 'the connection ends before the content does')
  truncateSync(file, 50)
  t.equal((await proxy.get('http://a.test/')).status, 404)
})

t.test('kill -9 loses what is under way at most, and leaves a file that opens', async (t) => {
  const directory = join(t.testdir(), 'archive')
  let hanging: () => void
  const hangs = new Promise<void>((resolve) => { hanging = resolve })
  const site = await startSite(t, (request, response) => {
    if (request.url !== '/hangs') return response.end(request.url)
    response.writeHead(200).write('x'.repeat(3_000_000), () => hanging())
  })
  const program = `
    const { startRecorder } = require(${JSON.stringify(join(__dirname, 'support'))})
    startRecorder({ teardown () {} }, { directory: process.argv[1] }).then(({ port }) => console.log(port))`
  const recorder = spawn(
    process.execPath, [...process.execArgv, '-e', program, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => recorder.kill('SIGKILL'))
  const port = Number((await once(recorder.stdout, 'data'))[0])
  const client = await connect(t, { host: '127.0.0.1', port })
  const urls = Array.from({ length: 20 }, (_, i) => `http://127.0.0.1:${site.port}/${i}`)
  for (const url of urls) await client.ask('GET', url)
  client.write(`GET http://127.0.0.1:${site.port}/hangs HTTP/1.1\r\nHost: a\r\n\r\n`)
  await hangs
  await client.read(2_000_000)
  recorder.kill('SIGKILL')
  await once(recorder, 'exit')

  const names = filesIn(directory)
  t.match(names, [/\.warc\.gz\.open$/])
  t.equal(names.length, 1, 'nothing else is left')
  const file = join(directory, names[0]!)
  t.equal((await recordsOf(file)).length, 41)
  const beside = await startRecorder(t, { directory })
  await beside.app.close()
  t.strictSame(filesIn(directory), names, 'another recorder leaves it as it is')
  const proxy = await startReplay(t, { files: directory })
  for (const url of urls) t.equal((await proxy.get(url)).status, 200)
})
