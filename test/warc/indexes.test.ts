/** Indexes that say something else than the files that they are of. */
import { writeFileSync } from 'node:fs'
import t from 'tap'
import type { Test } from 'tap'
import type { Proxy } from '../support/proxy'
import { record, startReplay, startSocket, warcFile } from './support'

const OK = 'HTTP/1.1 200 OK'

/** A line of an index: by default, of a response with 200 that is the first of its file. */
function line (key: string, url: string, more: Record<string, string> = {}): string {
  const fields = { url, mime: 'text/plain', status: '200', offset: '0', filename: 'made', ...more }
  return `${key} 20260101000000 ${JSON.stringify(fields)}\n`
}

/** A proxy that replays a file with an index beside it, which is the newer one. */
async function startIndexed (t: Test, records: Buffer[], lines: string[], name?: string): Promise<Proxy> {
  const file = warcFile(t, records, name)
  writeFileSync(`${file}.cdxj`, lines.join(''))
  return await startReplay(t, { files: file })
}

t.test('of a part of the content, no bytes are sent that the record does not have', async (t) => {
  for (const [total, contentRange] of [['100', 'bytes */100'], ['*', undefined]] as const) {
    const head = `HTTP/1.1 206 Partial Content\nContent-Range: bytes 10-19/${total}`
    const part = record({ url: 'http://a.test/', head, body: '0123456789' })
    const proxy = await startIndexed(t, [part], [line('test,a)/', 'http://a.test/')])
    const ask = async (range: string): Promise<[number, string | undefined, string]> => {
      const { status, headers, body } = await proxy.get('http://a.test/', { range })
      return [status, headers['content-range'], body]
    }
    t.strictSame(await ask('bytes=0-5'), [416, contentRange, ''])
    t.strictSame(await ask('bytes=20-'), [416, contentRange, ''])
    t.strictSame(await ask('bytes=-5'), [416, contentRange, ''])
    t.strictSame(await ask('bytes=5-12'), [206, `bytes 10-12/${total}`, '012'])
  }
})

t.test('a line whose record is not there, or whose URL is none, keeps nothing from being answered', async (t) => {
  const page = record({ url: 'http://a.test/', head: OK, body: 'page' })
  for (const name of ['made.warc', 'made.warc.gz']) {
    const proxy = await startIndexed(t, [page], [
      line('test,a)/', 'http://['),
      line('test,b)/', 'http://b.test/', { offset: '100000' }),
      line('test,b)/', 'http://b.test/', { offset: '100000', length: '100' })
    ], name)
    t.equal((await proxy.get('http://a.test/')).body, 'page')
    t.equal((await proxy.get('http://b.test/')).status, 404)
  }
})

t.test('of a path with more captures than can be looked through, the rest is left out', async (t) => {
  const page = record({ url: 'http://a.test/', head: OK, body: 'page' })
  const captures = (count: number): string[] => [
    ...Array.from({ length: count }, (_, i) => {
      const query = `a=${String(i).padStart(6, '0')}`
      return line(`test,a)/f?${query}`, `http://a.test/f?${query}`)
    }),
    line('test,a)/f?ts=1&z=1', 'http://a.test/f?ts=1&z=1')
  ]
  const within = await startIndexed(t, [page], captures(9_999))
  t.equal((await within.get('http://a.test/f?z=1')).body, 'page')
  const beyond = await startIndexed(t, [page], captures(10_000))
  t.equal((await beyond.get('http://a.test/f?z=1')).status, 404)
})

t.test('an index that cannot be read is told of', async (t) => {
  const files = warcFile(t, [record({ url: 'http://a.test/', head: OK })])
  const index = await startSocket(t)
  await t.rejects(startReplay(t, { files, index }), { code: 'FST_PROX_WARC_UNREADABLE', message: /ENXIO/ })
})
