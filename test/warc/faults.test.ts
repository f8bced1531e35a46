/** Recorders that cannot write, and archives that cannot be read in time. */
import { execFileSync } from 'node:child_process'
import fsSync, { writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startSite } from '../forward/support'
import { filesIn, record, recordsIn, recordsOf, startRecorder, startReplay, warcFile } from './support'

/**
 * Has a method of open files fail, writes after a part of what is to be written, until it is told to stop.
 * @param passed how many calls work before
 */
async function failing (
  t: Test, path: string, name: 'appendFile' | 'read' | 'sync' | 'truncate', passed = 0
): Promise<() => void> {
  writeFileSync(path, '')
  const handle = await fs.open(path)
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  const original = prototype[name] as (...args: unknown[]) => Promise<void>
  const stop = (): void => { (prototype as unknown as Record<string, unknown>)[name] = original }
  t.teardown(stop)
  let calls = 0
  const fails = async function (this: FileHandle, ...args: [Buffer, ...unknown[]]): Promise<void> {
    if (calls++ < passed) return await original.apply(this, args)
    if (name === 'appendFile') await original.call(this, args[0].subarray(0, 50))
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }
  ;(prototype as unknown as Record<string, unknown>)[name] = fails
  return stop
}

/** The same for what is written at once; cutting a file off fails too, if it is to. */
function failingNow (t: Test, passed: number, both = false): () => void {
  const { writeSync, ftruncateSync } = fsSync
  const stop = (): void => { Object.assign(fsSync, { writeSync, ftruncateSync }) }
  t.teardown(stop)
  let calls = 0
  const fails = (): never => { throw Object.assign(new Error('no space left'), { code: 'ENOSPC' }) }
  Object.assign(fsSync, {
    writeSync: (fd: number, data: Buffer, offset: number) => {
      // A part of it, and then nothing.
      return calls++ < passed ? writeSync(fd, data, offset, 50) : fails()
    },
    ...(both && { ftruncateSync: fails })
  })
  return stop
}

/** Bodies that are written at once, and those that are not. */
const SIZES = [10, 100_000]

for (const size of SIZES) {
  t.test(`an exchange that cannot be written is taken away whole (${size} bytes)`, async (t) => {
    const directory = join(t.testdir(), 'archive')
    const site = await startSite(t, (_request, response) => response.end('x'.repeat(size)))
    const proxy = await startRecorder(t, { directory, dedup: false })
    const url = (path: string): string => `http://127.0.0.1:${site.port}${path}`
    // The response is written, the request is not.
    const stop = size === 10 ? failingNow(t, 1) : await failing(t, join(directory, '..', 'x'), 'appendFile', 1)
    t.equal((await proxy.get(url('/lost'))).body.length, size)
    await proxy.log.next(/could not be recorded/)
    stop()
    await proxy.get(url('/after'))
    await proxy.app.close()
    const paths = (await recordsIn(directory)).map(({ fields }) => fields['warc-target-uri'])
    t.strictSame(paths, [undefined, url('/after'), url('/after')])
  })

  t.test(`a file that cannot be mended is left, and another one begun (${size} bytes)`, async (t) => {
    const directory = join(t.testdir(), 'archive')
    const site = await startSite(t, (_request, response) => response.end('x'.repeat(size)))
    const proxy = await startRecorder(t, { directory })
    const stops = [
      failingNow(t, 1, true),
      await failing(t, join(directory, '..', 'x'), 'appendFile'),
      await failing(t, join(directory, '..', 'x'), 'truncate')
    ]
    await proxy.get(`http://127.0.0.1:${site.port}/lost`)
    await proxy.log.next(/could not be recorded/)
    // No new file can be begun either.
    await proxy.get(`http://127.0.0.1:${site.port}/lost`)
    while (proxy.log.count(/could not be recorded/) < 2) await new Promise((resolve) => proxy.log.once('line', resolve))
    for (const stop of stops) stop()
    await proxy.get(`http://127.0.0.1:${site.port}/after`)
    await proxy.app.close()
    const names = filesIn(directory)
    t.match(names, [/\.open$/, /\.gz$/])
    t.equal(names.length, 2)
    t.equal((await recordsOf(join(directory, names[1]!))).length, 3)
  })
}

t.test('a body that cannot be kept is not recorded, and goes on', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const large = 'large '.repeat(500_000)
  const site = await startSite(t, (_request, response) => response.end(large))
  const proxy = await startRecorder(t, { directory })
  const stop = await failing(t, join(directory, '..', 'x'), 'appendFile')
  t.equal((await proxy.get(`http://127.0.0.1:${site.port}/`)).body.length, large.length)
  stop()
  t.equal(proxy.log.count(/no longer recorded/), 1)
  await proxy.app.close()
  t.strictSame(filesIn(directory), [])
})

t.test('a file that cannot be finished is told of at close', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const proxy = await startRecorder(t, { directory })
  const stop = await failing(t, join(directory, '..', 'x'), 'sync')
  await t.rejects(proxy.app.close(), { code: 'FST_PROX_WARC_NOT_WRITABLE', message: /no space left/ })
  stop()
})

t.test('a body that cannot be kept to its end is not recorded', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startSite(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 10_000_000 }).write('x'.repeat(2_000_000))
  })
  const proxy = await startRecorder(t, { directory }, undefined, { fastify: { forceCloseConnections: true } })
  const client = await proxy.client()
  client.write(`GET http://127.0.0.1:${site.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
  await client.read(1_000_000)
  await failing(t, join(directory, '..', 'x'), 'appendFile')
  await proxy.app.close()
  t.equal(proxy.log.count(/could not be recorded|no longer recorded/), 1)
})

t.test('a recorder whose file was left, and that has no other, closes', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startSite(t, (_request, response) => response.end('x'))
  const proxy = await startRecorder(t, { directory })
  const stop = failingNow(t, 1, true)
  await proxy.get(`http://127.0.0.1:${site.port}/lost`)
  await proxy.log.next(/could not be recorded/)
  stop()
  await proxy.app.close()
  t.match(filesIn(directory), [/\.open$/])
})

t.test('an archive that cannot be read to its end is not replayed', async (t) => {
  for (const name of ['made.warc', 'made.warc.gz']) {
    const files = warcFile(t, [record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK' })], name)
    // What tells whether it is compressed is read, the records are not.
    const stop = await failing(t, join(files, '..', 'x'), 'read', 1)
    await t.rejects(startReplay(t, { files }), { code: 'FST_PROX_WARC_UNREADABLE', message: /no space left/ })
    stop()
  }
})

t.test('an archive whose index takes long is waited for by requests', async (t) => {
  const file = warcFile(t, [record({ url: 'http://a.test/', head: 'HTTP/1.1 200 OK' })])
  const pipe = join(file, '..', 'pipe.warc')
  execFileSync('mkfifo', [pipe])
  const proxy = await startReplay(t, { files: [file, pipe] })
  t.match(proxy.log.messages('warn'), [/fastify-prox warc index/])
  const asked = proxy.get('http://a.test/')
  writeFileSync(pipe, 'x')
  t.match(await asked, { status: 500, body: /FST_PROX_WARC_UNREADABLE/ })
  t.equal(proxy.log.count(/the archive cannot be replayed/), 1)
})
