/** Recorders that are killed, that meet on one file, or that cannot write. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync
} from 'node:fs'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type har from '../../har/index'
import { startSite } from '../forward/support'
import type { Handler } from '../forward/support'
import { connect } from '../support/raw'
import { entriesOf, entry, harFile, harText, startHar } from './support'

const page: Handler = (request, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(request.url)

/** The lock of somebody else. */
function lock (file: string, owner: unknown): void {
  writeFileSync(`${file}.lock`, typeof owner === 'string' ? owner : JSON.stringify(owner))
}

t.test('kill -9 loses what is under way at most; the files open, for whoever comes', async (t) => {
  const file = harFile(t)
  writeFileSync(file, harText([entry('GET', 'http://before.test/')]))
  let hanging: () => void
  const hangs = new Promise<void>((resolve) => { hanging = resolve })
  const site = await startSite(t, (request, response) => {
    if (request.url !== '/hangs') return page(request, response)
    response.writeHead(200).write('x'.repeat(5000), () => hanging())
  })
  const program = `
    const { startHar } = require(${JSON.stringify(join(__dirname, 'support'))})
    const t = { teardown () {} }
    startHar(
      t, { file: ${JSON.stringify(file)}, mode: 'update', inlineLimit: 1000 }
    ).then(({ port }) => console.log(port))`
  const recorder = spawn(
    process.execPath, [...process.execArgv, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  t.teardown(() => recorder.kill('SIGKILL'))
  const port = Number((await once(recorder.stdout, 'data'))[0])
  const client = await connect(t, { host: '127.0.0.1', port })
  for (let i = 0; i < 20; i++) await client.ask('GET', `http://127.0.0.1:${site.port}/${i}`)
  await t.rejects(startHar(
    t, { file, mode: 'record' }
  ), { code: 'FST_PROX_HAR_IN_USE', message: new RegExp(`process ${recorder.pid} on`) })
  const beside = await startHar(t, { file })
  t.equal(
    (await beside.get(`http://127.0.0.1:${site.port}/0`)).status, 501, 'what is being recorded is not replayed yet'
  )
  client.write(`GET http://127.0.0.1:${site.port}/hangs HTTP/1.1\r\nHost: a\r\n\r\n`)
  await hangs
  recorder.kill('SIGKILL')
  await once(recorder, 'exit')

  t.equal(entriesOf(file).length, 1, 'the file is as it was')
  appendFileSync(`${file}.journal`, '{"torn')
  const after = await startHar(t, { file })
  for (const path of ['/0', '/19']) t.equal((await after.get(`http://127.0.0.1:${site.port}${path}`)).body, path)
  t.equal((await after.get('http://before.test/')).status, 200)
  const next = await startHar(t, { file, mode: 'update' })
  t.equal(entriesOf(file).length, 21, 'the next recorder makes it whole')
  await next.app.close()
  t.equal(entriesOf(file).length, 21)
  t.strictSame(readdirSync(dirname(file)).filter((name) => name !== 'site-files'), ['site.har'])
})

t.test('what a killed recorder has begun anew is replayed without what was there before', async (t) => {
  const file = harFile(t)
  writeFileSync(file, harText([entry('GET', 'http://before.test/')]))
  const line = JSON.stringify(entry('GET', 'http://now.test/'))
  const late = JSON.stringify({ ...entry('GET', 'http://late.test/'), startedDateTime: '2027-01-01T00:00:00.000Z' })
  writeFileSync(`${file}.journal`, `{"mode":"record"}\n${late}\n\n{"torn\n${line}\n${line}\n`)
  const proxy = await startHar(t, { file })
  t.equal((await proxy.get('http://now.test/')).status, 200)
  t.equal((await proxy.get('http://before.test/')).status, 501)
  const recorder = await startHar(t, { file, mode: 'update' })
  t.strictSame(
    entriesOf(file).map(({ request }) => request.url), ['http://now.test/', 'http://now.test/', 'http://late.test/']
  )
  await recorder.app.close()
  rmSync(file)
  writeFileSync(`${file}.journal`, '')
  const empty = await startHar(t, { file })
  t.equal((await empty.get('http://now.test/')).status, 501)
  const fresh = await startHar(t, { file, mode: 'update' })
  t.equal((await fresh.get('http://127.0.0.1:1/')).status, 502)
  await fresh.app.close()
  t.equal(entriesOf(file).length, 1)
})

t.test('a second recorder is told of the first, in this process and on other machines', async (t) => {
  const file = harFile(t, 'deep/er/site.har')
  const first = await startHar(t, { file, mode: 'record' })
  await t.rejects(startHar(t, { file, mode: 'update' }), { code: 'FST_PROX_HAR_IN_USE' })
  await first.app.close()
  const alive: unknown[] = [
    { pid: 1, host: 'elsewhere', started: null }, { pid: 1, host: hostname(), started: startOf(1) }
  ]
  for (const owner of alive) {
    lock(file, owner)
    await t.rejects(startHar(
      t, { file, mode: 'update' }
    ), { code: 'FST_PROX_HAR_IN_USE', message: /process 1 on .* remove .*site\.har\.lock/ })
  }
  const dead: unknown[] = [
    'torn', { pid: process.pid, host: hostname(), started: 'x' }, { pid: 1, host: hostname(), started: 'before' },
    { pid: 2 ** 22 + 1, host: hostname(), started: null }, { pid: -1, host: hostname() }
  ]
  for (const owner of dead) {
    lock(file, owner)
    await (await startHar(t, { file, mode: 'update' })).app.close()
  }
  t.strictSame(readdirSync(dirname(file)), ['site.har'])
})

function startOf (pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19]!
}

t.test('says when it cannot write, at the start and at the end', async (t) => {
  const folder = dirname(harFile(t))
  writeFileSync(join(folder, 'file'), '')
  await t.rejects(
    startHar(t, { file: join(folder, 'file/site.har'), mode: 'record' }), { code: 'FST_PROX_HAR_NOT_WRITABLE' }
  )
  writeFileSync(join(folder, 'broken.har'), '{')
  await t.rejects(
    startHar(t, { file: join(folder, 'broken.har'), mode: 'update' }), { code: 'FST_PROX_HAR_UNREADABLE' }
  )
  t.notOk(existsSync(join(folder, 'broken.har.lock')))
  const broken = join(folder, 'broken.har')
  writeFileSync(`${broken}.journal`, `{"mode":"update"}\n${JSON.stringify(entry('GET', 'http://a.test/'))}\n`)
  await t.rejects(startHar(t, { file: broken, mode: 'record' }), { code: 'FST_PROX_HAR_UNREADABLE' })
  t.notOk(existsSync(join(folder, 'broken.har.lock')))
  mkdirSync(join(folder, 'dir.har.lock'))
  await t.rejects(startHar(t, { file: join(folder, 'dir.har'), mode: 'record' }), { code: 'FST_PROX_HAR_NOT_WRITABLE' })
  const file = join(folder, 'site.har')
  const proxy = await startHar(t, { file, mode: 'record' })
  mkdirSync(`${file}.tmp`)
  await t.rejects(proxy.app.close(), { code: 'FST_PROX_HAR_NOT_WRITABLE' })
  t.notOk(existsSync(`${file}.lock`))
  rmSync(`${file}.tmp`, { recursive: true })
  t.ok(existsSync(`${file}.journal`), 'the journal is left for the next one')
})

t.test('a body that cannot be written is not recorded, and goes on', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, (_request, response) => response.end('large '.repeat(1000)))
  writeFileSync(join(dirname(file), 'site-files'), 'in its place')
  const proxy = await startHar(t, { file, mode: 'record', inlineLimit: 10 })
  t.equal((await proxy.get(`http://127.0.0.1:${site.port}/`)).body.length, 6000)
  t.equal(proxy.log.count(/no longer recorded/), 1)
  await proxy.app.close()
  t.strictSame(entriesOf(file), [])
})

for (const coding of ['identity', 'gzip']) {
  t.test(`a file that is gone at the end of its body is told of (${coding})`, async (t) => {
    const random = randomBytes(200_000)
    const content = coding === 'gzip' ? gzipSync(random) : random
    const [first, second] = [content.subarray(0, 150_000), content.subarray(150_000)]
    const file = harFile(t)
    const folder = join(dirname(file), 'site-files')
    const site = await startSite(t, (_request, response) => {
      response.setHeader('content-encoding', coding)
      response.write(first, () => {
        const moved = setInterval(() => {
          if (!existsSync(folder) || readdirSync(folder).length === 0) return
          clearInterval(moved)
          renameSync(folder, `${folder}-moved`)
          response.end(second)
        }, 1)
      })
    })
    const proxy = await startHar(t, { file, mode: 'record', inlineLimit: 10 })
    t.equal((await proxy.get(`http://127.0.0.1:${site.port}/`)).status, 200)
    await proxy.app.close()
    t.equal(proxy.log.count(/could not be recorded/), 1)
    t.strictSame(entriesOf(file), [])
  })
}

t.test('a journal that cannot be written to is told of', async (t) => {
  const file = harFile(t)
  const site = await startSite(t, page)
  const proxy = await startHar(t, { file, mode: 'record' })
  const append = fs.appendFileSync
  t.teardown(() => { fs.appendFileSync = append })
  fs.appendFileSync = (descriptor, text) => {
    append(descriptor, (text as string).slice(0, 50))
    throw new Error('no space left')
  }
  t.equal((await proxy.get(`http://127.0.0.1:${site.port}/`)).body, '/')
  fs.appendFileSync = append
  t.equal(proxy.log.count(/could not be recorded/), 1)
  await proxy.get(`http://127.0.0.1:${site.port}/next`)
  await proxy.app.close()
  t.strictSame(entriesOf(file).map((each: har.HarEntry) => each.response.content.text), ['/next'])
})
