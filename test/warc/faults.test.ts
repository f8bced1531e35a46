/** Recorders that cannot write. */
import fs from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startSite } from '../forward/support'
import { filesIn, recordsIn, startRecorder } from './support'

/**
 * Has a method of open files fail, writes after a part of what is to be written, until it is told to stop.
 * @param passed how many calls work before
 */
async function failing (
  t: Test, path: string, name: 'appendFile' | 'sync' | 'truncate', passed = 0
): Promise<() => void> {
  writeFileSync(path, '')
  const handle = await fs.open(path)
  const prototype = Object.getPrototypeOf(handle) as FileHandle
  await handle.close()
  const original = prototype[name] as (...args: unknown[]) => Promise<void>
  const stop = (): void => { (prototype as unknown as Record<string, unknown>)[name] = original }
  t.teardown(stop)
  let calls = 0
  const fails = async function (this: FileHandle, data: Buffer): Promise<void> {
    if (calls++ < passed) return await original.call(this, data)
    if (name === 'appendFile') await original.call(this, data.subarray(0, 50))
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }
  ;(prototype as unknown as Record<string, unknown>)[name] = fails
  return stop
}

t.test('an exchange that cannot be written is taken away whole, and the next ones are recorded', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startSite(t, (request, response) => response.end(request.url))
  const proxy = await startRecorder(t, { directory })
  const url = (path: string): string => `http://127.0.0.1:${site.port}${path}`
  // The response is written, the request is not.
  const stop = await failing(t, join(directory, '..', 'x'), 'appendFile', 1)
  t.equal((await proxy.get(url('/lost'))).body, '/lost')
  await proxy.log.next(/could not be recorded/)
  stop()
  await proxy.get(url('/after'))
  await proxy.app.close()
  const paths = (await recordsIn(directory)).map(({ fields }) => fields['warc-target-uri'])
  t.strictSame(paths, [undefined, url('/after'), url('/after')])
})

t.test('a file that cannot be mended is left, and another one begun', async (t) => {
  const directory = join(t.testdir(), 'archive')
  const site = await startSite(t, (request, response) => response.end(request.url))
  const proxy = await startRecorder(t, { directory })
  const stops = [
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
})

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
