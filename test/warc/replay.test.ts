import fs, { utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { brotliCompressSync, gunzipSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { getSurt } from 'warcio'
import { sortLines } from '../../warc/indexing'
import { Cdxj } from '../../warc/cdxj'
import { surt } from '../../warc/surt'
import { startSite } from '../forward/support'
import type { Handler } from '../forward/support'
import { filesIn, record, recorded, startReplay, warcFile } from './support'

const VIDEO = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251))

const handler: Handler = (request, response) => {
  const { pathname } = new URL(request.url!, 'http://a')
  switch (pathname) {
    case '/gzip':
      response.writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip', etag: '"g"' })
      return response.end(gzipSync('<p>gzip</p>'))
    case '/twice':
      response.writeHead(200, { 'content-encoding': 'gzip, br' })
      return response.end(brotliCompressSync(gzipSync('twice')))
    case '/fields':
      response.writeHead(200, 'Fine', {
        'content-type': 'text/plain',
        'X-A': ['1', '2'],
        'X-Latin-1': 'é',
        'set-cookie': ['a=1', 'b=2'],
        vary: 'Cookie',
        'alt-svc': 'h3=":443"'
      })
      response.write('one ')
      return response.end('two')
    case '/untyped': return response.end('untyped')
    case '/empty': return response.writeHead(204).end()
    case '/moved': return response.writeHead(302, { location: '/fields' }).end()
    case '/wrong': return response.writeHead(404, { 'content-type': 'text/plain' }).end('not there')
    case '/video': {
      response.setHeader('content-type', 'video/mp4').setHeader('etag', '"v"')
      const [, first, last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? []
      if (first === undefined) return response.end(VIDEO)
      const end = last ? Number(last) : VIDEO.length - 1
      response.writeHead(206, { 'content-range': `bytes ${first}-${end}/${VIDEO.length}` })
      return response.end(VIDEO.subarray(Number(first), end + 1))
    }
    case '/echo': return request.pipe(response.setHeader('content-type', 'text/plain'))
    default: return response.writeHead(200, { 'content-type': 'text/plain' }).end(`${request.method} ${request.url}`)
  }
}

t.test('replays what was recorded, without the site', async (t) => {
  const site = await startSite(t, handler)
  const secure = await startSite(t, handler, { http2: true })
  const origin = `http://127.0.0.1:${site.port}`
  const urls = ['/fields', '/untyped', '/empty', '/moved', '/wrong', '/other?a=1&b=2']
    .flatMap((path) => [`${origin}${path}`, `https://localhost:${secure.port}${path}`])
  const before = new Map<string, string>()
  const directory = await recorded(t, async (proxy) => {
    for (const url of urls) {
      const { status, body } = await proxy.get(url)
      before.set(url, `${status} ${body}`)
    }
    await proxy.ask('HEAD', `${origin}/head`)
    await proxy.ask('POST', `${origin}/echo`, {}, 'one')
    await proxy.ask('POST', `${origin}/echo`, {}, 'two')
  })
  site.server.close()
  secure.server.close()
  const proxy = await startReplay(t, { files: join(directory, '*.warc.gz') })
  for (const url of urls) {
    const { status, body, headers } = await proxy.get(url)
    t.equal(`${status} ${body}`, before.get(url))
    t.match(headers['memento-datetime'], /GMT$/)
    t.equal(headers.link, `<${url}>; rel="original timegate"`)
    t.match(headers.vary, /Accept-Datetime$/)
  }
  const fields = await proxy.get(`${origin}/fields`)
  t.equal(fields.reason, 'Fine')
  t.match(fields.headers, {
    'x-a': '1, 2', 'x-latin-1': 'é', 'set-cookie': 'a=1, b=2', vary: 'Cookie, Accept-Datetime', 'content-length': '7'
  })
  t.notOk('alt-svc' in fields.headers)
  t.notOk('content-type' in (await proxy.get(`${origin}/untyped`)).headers)
  t.equal((await proxy.get(`${origin}/moved`)).headers.location, '/fields')
  t.match(await proxy.ask('HEAD', `${origin}/head`), { status: 200, headers: { 'content-type': 'text/plain' } })
  t.match(await proxy.ask('HEAD', `${origin}/fields`), { status: 200, headers: { 'content-length': '7' } })
  t.equal((await proxy.get(`${origin}/head`)).status, 404, 'the head alone answers no GET')
  for (const content of ['one', 'two']) t.equal((await proxy.ask('POST', `${origin}/echo`, {}, content)).body, content)
  t.match((await proxy.ask('POST', `${origin}/echo`, {}, 'new')).body, /one|two/, 'other content gets what there is')
  t.equal((await proxy.get(`${origin}/echo`)).status, 404)
})

t.test('a miss says what there is of the host, and is no network', async (t) => {
  const file = warcFile(t, ['/', '/a', '/b'].map((path) => record({
    url: `http://a.test${path}`, head: 'HTTP/1.1 200 OK', body: path
  })))
  const proxy = await startReplay(t, { files: file })
  const { status, body } = await proxy.get('http://a.test/c')
  t.equal(status, 404)
  t.match(JSON.parse(body), {
    code: 'FST_PROX_NOT_ARCHIVED',
    message: 'GET http://a.test/c is not in the archive. There is of its host:\n' +
      ['/', '/a', '/b'].map((path) => `20260101000000 GET http://a.test${path} 200`).join('\n')
  })
  t.match((await proxy.get('http://b.test/')).body, /There is nothing of its host/)
})

t.test('answers the capture nearest to a date, or the latest', async (t) => {
  const years = ['2024', '2025', '2026']
  const records = years.map((year) => record({
    url: 'http://a.test/', date: `${year}-06-01T00:00:00Z`, head: 'HTTP/1.1 200 OK', body: year
  }))
  const file = warcFile(t, records)
  const proxy = await startReplay(t, { files: file })
  const at = async (date: string): Promise<string> =>
    (await proxy.get('http://a.test/', { 'accept-datetime': date })).body
  t.equal((await proxy.get('http://a.test/')).body, '2026')
  t.equal(await at('Wed, 01 Jan 2020 00:00:00 GMT'), '2024')
  t.equal(await at('Thu, 01 May 2025 00:00:00 GMT'), '2025')
  t.equal(await at('Fri, 01 Jan 2038 00:00:00 GMT'), '2026')
  t.equal((await proxy.get('http://a.test/')).headers['memento-datetime'], 'Mon, 01 Jun 2026 00:00:00 GMT')
  const wrong = await proxy.get('http://a.test/', { 'accept-datetime': 'yesterday' })
  t.match(wrong, { status: 400, body: /FST_PROX_BAD_DATETIME/ })
  for (const date of ['2025-01-01', new Date('2025-01-01')]) {
    const dated = await startReplay(t, { files: file, date })
    t.equal((await dated.get('http://a.test/')).body, '2025')
  }
})

t.test('content coded as the client takes it, or decoded', async (t) => {
  const site = await startSite(t, handler)
  const origin = `http://127.0.0.1:${site.port}`
  const directory = await recorded(t, async (proxy) => {
    for (const path of ['/gzip', '/twice']) await proxy.get(`${origin}${path}`)
  })
  const proxy = await startReplay(t, { files: directory })
  const coded = await proxy.get(`${origin}/gzip`, { 'accept-encoding': 'br, gzip' })
  t.equal(coded.headers['content-encoding'], 'gzip')
  t.equal(String(gunzipSync(coded.bytes)), '<p>gzip</p>')
  for (const field of [undefined, 'br', 'gzip;q=0', 'identity, *;q=0']) {
    const { headers, body } = await proxy.get(`${origin}/gzip`, field === undefined ? {} : { 'accept-encoding': field })
    t.notOk('content-encoding' in headers)
    t.equal(body, '<p>gzip</p>')
  }
  t.equal((await proxy.get(`${origin}/gzip`, { 'accept-encoding': '*' })).headers['content-encoding'], 'gzip')
  t.equal((await proxy.get(`${origin}/twice`)).body, 'twice')
  const part = await proxy.get(`${origin}/gzip`, { 'accept-encoding': 'gzip', range: 'bytes=0-1' })
  t.equal(part.status, 206)
  t.equal(part.bytes.toString('hex'), '1f8b')
  t.equal((await proxy.get(`${origin}/gzip`, { range: 'bytes=0-1' })).status, 200, 'decoded content has no parts')
})

t.test('parts of the content, of the whole or of a part that was recorded', async (t) => {
  const site = await startSite(t, handler)
  const url = `http://127.0.0.1:${site.port}/video`
  for (const [name, range] of [['whole', undefined], ['from 0', 'bytes=0-'], ['part', 'bytes=1000-1999']] as const) {
    const files = await recorded(t, async (proxy) => await proxy.get(url, range === undefined ? {} : { range }))
    const proxy = await startReplay(t, { files })
    const ask = async (asked: string, more = {}): Promise<[number, string | undefined, Buffer]> => {
      const { status, headers, bytes } = await proxy.get(url, { range: asked, ...more })
      return [status, headers['content-range'], bytes]
    }
    if (name === 'part') {
      t.equal((await proxy.get(url)).status, 404, 'a part is not the whole')
      t.strictSame(await ask('bytes=1000-1999'), [206, 'bytes 1000-1999/100000', VIDEO.subarray(1000, 2000)])
      t.strictSame(await ask('bytes=1500-'), [206, 'bytes 1500-1999/100000', VIDEO.subarray(1500, 2000)])
      t.equal((await ask('bytes=0-'))[0], 404)
      t.equal((await ask('bytes=-10'))[0], 404)
      continue
    }
    const all = await proxy.get(url)
    t.strictSame([all.status, all.headers['content-range'], all.bytes.equals(VIDEO)], [200, undefined, true])
    t.strictSame(await ask('bytes=70000-70009'), [206, 'bytes 70000-70009/100000', VIDEO.subarray(70_000, 70_010)])
    t.strictSame(await ask('bytes=99990-'), [206, 'bytes 99990-99999/100000', VIDEO.subarray(99_990)])
    t.strictSame(await ask('bytes=-10'), [206, 'bytes 99990-99999/100000', VIDEO.subarray(99_990)])
    t.strictSame(await ask('bytes=5-5', { 'if-range': '"v"' }), [206, 'bytes 5-5/100000', VIDEO.subarray(5, 6)])
    t.equal((await ask('bytes=5-5', { 'if-range': '"w"' }))[0], 200)
    t.strictSame(await ask('bytes=100000-'), [416, 'bytes */100000', Buffer.alloc(0)])
    for (const ignored of ['bytes=0-1,3-4', 'bytes=3-1', 'lines=1-2']) t.equal((await ask(ignored))[0], 200)
  }
})

t.test('content that is in another record is found, or the miss is told', async (t) => {
  const site = await startSite(t, (_request, response) => response.setHeader('x-time', Date.now()).end('same'))
  const origin = `http://127.0.0.1:${site.port}`
  const directory = await recorded(t, async (proxy) => {
    for (const path of ['/first', '/second']) await proxy.get(`${origin}${path}`)
  })
  const proxy = await startReplay(t, { files: directory })
  for (const path of ['/first', '/second']) t.equal((await proxy.get(`${origin}${path}`)).body, 'same')

  const digest = 'sha1:QUSK2B6CV3UX6WBTDXJOLA7P7LX56OSE'
  const revisit = (fields: Record<string, string>, head?: string): Buffer => record({
    type: 'revisit', url: 'http://a.test/', date: '2026-02-02T00:00:00Z', head, fields
  })
  const fields = { 'WARC-Payload-Digest': digest }
  const original = record({ url: 'http://a.test/old', head: 'HTTP/1.1 200 OK\nX-Old: 1', body: 'content', fields })
  const older = (more: object): Buffer =>
    record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK', body: 'older', ...more })
  const named = { 'WARC-Refers-To-Target-URI': '<http://a.test/old>', 'WARC-Refers-To-Date': '2026-01-01T00:00:00Z' }
  const cases: Array<[records: Buffer[], status: number, more: object]> = [
    [[original, revisit(named)], 200, { body: 'content', headers: { 'x-old': '1' } }],
    [[original, revisit(named, 'HTTP/1.1 200 OK\nX-New: 1')], 200, { body: 'content', headers: { 'x-new': '1' } }],
    [[revisit(named)], 404, {}],
    [[original, revisit({ ...named, 'WARC-Payload-Digest': 'sha1:OTHER' })], 404, {}],
    [[older({ fields }), revisit({ 'WARC-Payload-Digest': digest })], 200, { body: 'older' }],
    [[older({}), revisit({ 'WARC-Refers-To-Target-URI': 'http://gone.test/' })], 200, { body: 'older' }]
  ]
  for (const [records, status, more] of cases) {
    const made = await startReplay(t, { files: warcFile(t, records) })
    t.match(await made.get('http://a.test/'), { status, ...more })
  }
})

t.test('the very URL first; then the same in another form; then without what is there against caches', async (t) => {
  const bodies = [
    'http://a.test/A', 'http://a.test/a', 'https://a.test/a', 'http://www.a.test/w/', 'http://a.test/q?b=2&a=1',
    'http://a.test/f?x=1&_=1700000000', 'http://a.test/f?x=2', 'http://a.test/plain'
  ]
  const redirect = record({ url: 'http://r.test/', head: 'HTTP/1.1 301 Moved\nLocation: https://r.test/' })
  const made = bodies.map((url) => record({ url, head: 'HTTP/1.1 200 OK', body: url }))
  const proxy = await startReplay(t, { files: warcFile(t, [...made, redirect]) })
  const cases: Array<[asked: string, found: string | null]> = [
    ['http://a.test/A', 'http://a.test/A'],
    ['http://a.test/a', 'http://a.test/a'],
    ['https://a.test/a', 'https://a.test/a'],
    ['http://a.test/w/', 'http://www.a.test/w/'],
    ['http://a.test/q?a=1&b=2', 'http://a.test/q?b=2&a=1'],
    ['http://a.test/f?_=42&x=1', 'http://a.test/f?x=1&_=1700000000'],
    ['http://a.test/f?x=2&cb=0.5', 'http://a.test/f?x=2'],
    ['http://a.test/plain?ts=1', 'http://a.test/plain'],
    ['http://a.test/f?x=3', null],
    ['http://a.test/plain?page=2', null],
    ['https://r.test/', null]
  ]
  for (const [asked, found] of cases) {
    const { status, body } = await proxy.get(asked)
    t.equal(status === 404 ? null : body, found, asked)
  }
  t.equal((await proxy.get('http://r.test/')).status, 301)
})

t.test('keys are those of warcio', async (t) => {
  const urls = [
    'http://example.com/', 'https://www.Example.com:8443/A/b?C=d&a=1', 'http://www2.a.test/?', 'urn:a',
    'http://a.test/caf%C3%A9?x', 'http://127.0.0.1:8080/a', 'https://[', 'http://a.test/a//b/../c'
  ]
  for (const url of urls) t.equal(surt(url), getSurt(url), url)
})

t.test('an index is searched as if it were read from its beginning', async (t) => {
  const file = join(t.testdir(), 'index.cdxj')
  for (const [count, width] of [[0, 1], [1, 60], [2, 9], [3, 1], [10, 3], [40, 17], [100, 1], [500, 60]] as const) {
    const lines = sortLines(Array.from({ length: count }, (_, i) => {
      return `com,a)/${(i * 7919) % 101} ${'x'.repeat((i * 31) % 97 === 3 ? 9000 : i % width)}${i === 5 ? 'é' : ''}`
    }))
    const text = lines.map((line) => `${line}\n`).join('')
    writeFileSync(file, text)
    const indexes = [Cdxj.of(text), Cdxj.of(text.slice(0, -1)), Cdxj.open(file)]
    for (let i = 0; i < 105; i++) {
      for (const prefix of [`com,a)/${i} `, `com,a)/${i}`]) {
        const expected = lines.filter((line) => line.startsWith(prefix))
        for (const index of indexes) {
          const found = [...index.startingWith(prefix)]
          if (found.join('\n') !== expected.join('\n')) t.strictSame(found, expected, prefix)
        }
      }
    }
    for (const index of indexes) index.close()
  }
  t.pass('everything was found')
})

t.test('an index of 100,000 captures is not read at the start', async (t) => {
  const file = warcFile(t, [record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK', body: 'a' })])
  const lines = Array.from({ length: 100_000 }, (_, i) => {
    const json = { url: `http://a.test/${i}`, mime: 'text/plain', status: '200', offset: '0', filename: 'made.warc.gz' }
    return `test,a)/${i} 20260101000000 ${JSON.stringify(json)}\n`
  })
  writeFileSync(`${file}.cdxj`, lines.sort().join(''))
  let bytes = 0
  const { readSync } = fs
  t.teardown(() => { fs.readSync = readSync })
  fs.readSync = ((...args: Parameters<typeof readSync>) => {
    const read = readSync(...args)
    bytes += read
    return read
  }) as typeof readSync
  const proxy = await startReplay(t, { files: file })
  t.equal(bytes, 0)
  for (const i of [0, 1, 99_999, 50_000]) t.equal((await proxy.get(`http://a.test/${i}`)).body, 'a')
  t.ok(bytes < 4 * 1024 * 1024, `${bytes} bytes of it are read for four answers`)
  t.equal((await proxy.get('http://a.test/100000')).status, 404)
})

t.test('an index beside a file is read in place of the file, unless it is older', async (t) => {
  const file = warcFile(t, [record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK', body: 'a' })])
  const json = { url: 'http://b.test/', mime: 'text/plain', status: '200', offset: '0', filename: '../../etc/passwd' }
  const good = `test,b)/ 20260101 ${JSON.stringify(json)}`
  writeFileSync(`${file}.cdxj`, `!meta 1\ntest,b)/ 20260101 {torn\n${good}\ntest,c)/ 2026 {"url":1}\n`)
  const proxy = await startReplay(t, { files: file })
  t.equal((await proxy.get('http://b.test/')).body, 'a', 'the file itself, whatever the index says its name is')
  t.equal((await proxy.get('http://a.test/')).status, 404)
  utimesSync(`${file}.cdxj`, 0, 0)
  const again = await startReplay(t, { files: file })
  t.equal((await again.get('http://a.test/')).body, 'a')

  const named = await startReplay(t, { files: [dirname(file)], index: `${file}.cdxj` })
  t.equal((await named.get('http://b.test/')).status, 404, 'of files that are not there, nothing is read')
  writeFileSync(`${file}.cdxj`, good.replace('../../etc/passwd', 'x/made.warc.gz').replace('"0"', '0'))
  const other = await startReplay(t, { files: dirname(file), index: `${file}.cdxj` })
  t.equal((await other.get('http://b.test/')).body, 'a')
  t.strictSame(filesIn(dirname(file)), ['made.warc.gz', 'made.warc.gz.cdxj'])
})
