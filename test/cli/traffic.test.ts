/** `--record`, `--replay`, `--warc`, and `fastify-prox warc index`. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import { startSite } from '../forward/support'
import { record } from '../warc/support'
import { cli, startCli } from './cli'
import { showProgress } from '../../cli/progress'

const ASK = `
import http from 'node:http'
for (const url of process.argv.slice(2)) {
  const response = await new Promise((resolve) => http.get(url, resolve))
  console.log(response.statusCode, (await response.toArray()).join('').slice(0, 30))
}`

const OWN = "export default { 'own.test': async (app) => { app.get('/', async () => 'own') } }"

const ALLOW = ['--allow', '127.0.0.1']

function program (...urls: string[]): string[] {
  return ['--', process.execPath, 'ask.mjs', ...urls]
}

async function start (t: Test): Promise<{ url: string, gone: () => Promise<unknown> }> {
  t.testdir({ 'ask.mjs': ASK, 'own.mjs': OWN })
  const site = await startSite(t, (request, response) => response.end(`site ${request.url}`))
  const gone = async (): Promise<unknown> => {
    const closed = once(site.server, 'close')
    site.server.close()
    return await closed
  }
  return { url: `http://127.0.0.1:${site.port}`, gone }
}

t.test('records to a HAR file and to WARC files, and replays either without the site', async (t) => {
  const { url, gone } = await start(t)
  const recorded = await cli(
    t, ['run', '--record', 'site.har', '--warc', 'archive', ...ALLOW, ...program(`${url}/a`, `${url}/b`)])
  t.match(recorded, {
    code: 0,
    stdout: '200 site /a\n200 site /b\n',
    stderr: 'Recorded to site.har and archive: 1 host, 2 requests, 0.0 MB\n'
  })
  await gone()
  for (const path of ['site.har', 'archive', 'archive/*.warc.gz']) {
    const { stdout, stderr, code } = await cli(
      t, ['run', '--replay', path, ...ALLOW, ...program(`${url}/a`, `${url}/none`, `${url}/b`)])
    t.match(stdout, /^200 site \/a\n(?:501|404) \{"statusCode":.*\n200 site \/b\n$/)
    t.ok(stderr.endsWith(`Replayed from ${path}: 1 host, 3 requests, 0.0 MB, 1 miss\n`))
    t.equal(code, 0)
  }
})

t.test('what the application answers itself is its own', async (t) => {
  const { url, gone } = await start(t)
  const urls = ['http://own.test/', `${url}/other`]
  for (const options of [['--warc', 'archive'], ['--replay', 'archive']]) {
    const { stdout } = await cli(t, ['run', 'own.mjs', ...options, ...ALLOW, ...program(...urls)])
    t.equal(stdout, '200 own\n200 site /other\n')
    if (options[0] === '--warc') await gone()
  }
  writeFileSync(join(t.testdirName, 'all.mjs'), "export default async (app) => { app.get('/*', async () => 'all') }")
  t.equal((await cli(t, ['run', 'all.mjs', '--replay', 'archive', ...program(url)])).stdout, '200 all\n')
})

t.test('start records until a signal ends it', async (t) => {
  const { url } = await start(t)
  const command = startCli(t, ['start', '--warc', 'archive', '--port', '0', '--ca', 'ca.pem', ...ALLOW])
  const [, port] = await command.printed(/http:\/\/[\w.]+:(\d+)/)
  const request = http.get({ host: '127.0.0.1', port, path: `${url}/a`, agent: false })
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  t.equal(response.statusCode, 200)
  await once(response.resume(), 'end')
  command.child.kill('SIGTERM')
  t.match(await command.ended, { stderr: 'Recorded to archive: 1 host, 1 request, 0.0 MB\n', code: 0 })
  t.match(readdirSync(join(t.testdirName, 'archive')), [/\.warc\.gz$/])
  const quiet = await cli(t, ['run', '--quiet', '--replay', 'archive', ...program(url)])
  t.equal(quiet.stderr, '')
})

t.test('arguments that do not go together, or are missing', async (t) => {
  t.testdir({ 'ask.mjs': ASK })
  const wrong: Array<[args: string[], message: RegExp]> = [
    [['start'], /missing argument 'app', or one of --forward, --record, --warc and --replay/],
    [['run', ...program('http://a.test/')], /missing argument 'app'/],
    [['run', '--warc', 'a'], /what to run is missing/],
    [['run', '--record', 'a.har', '--replay', 'b.har', ...program()], /cannot be used with option '--record <file>'/],
    [['warc', 'index'], /missing required argument 'files'/]
  ]
  for (const [args, message] of wrong) t.match(await cli(t, args), { code: 2, stderr: message })
  const missing = await cli(t, ['run', '--replay', 'none', ...program()])
  t.match(missing, { code: 1, stderr: /^fastify-prox: none cannot be read/ })
  t.match((await cli(t, ['run', '--forward', ...program()])).code, 0)
})

t.test('warc index writes an index beside each file, or one of all', async (t) => {
  t.testdir({ archive: {}, 'ask.mjs': ASK })
  const at = (name: string): string => join(t.testdirName, name)
  const page = (path: string): Buffer => record({ url: `http://a.test${path}`, head: 'HTTP/1.1 200 OK', body: path })
  writeFileSync(at('archive/a.warc.gz'), Buffer.concat([page('/1'), page('/2')].map((each) => gzipSync(each))))
  writeFileSync(at('archive/b.warc'), Buffer.concat([page('/3'), page('/4').subarray(0, -10)]))
  const { code, stderr } = await cli(t, ['warc', 'index', 'archive'])
  t.equal(code, 0)
  t.match(stderr, /warning: .*b\.warc is broken from byte \d+ on; what is before is indexed\n/)
  t.match(stderr, /wrote 2 captures to .*a\.warc\.gz\.cdxj\n.*wrote 1 capture to .*b\.warc\.cdxj\n$/)
  const line = /^test,a\)\/1 20260101000000 \{"url":"http:\/\/a\.test\/1","mime":"unk","status":"200",.*"offset":"0",/
  t.match(readFileSync(at('archive/a.warc.gz.cdxj'), 'utf8'), line)
  const one = await cli(t, ['warc', 'index', 'archive/*.warc*', 'archive', '--out', 'all.cdxj'])
  t.match(one.stderr, /gz\.cdxj cannot be read: it is not a WARC file/)
  t.match((await cli(t, ['warc', 'index', 'archive', '--out', 'all.cdxj'])).stderr, /wrote 3 captures to all\.cdxj/)
  t.equal(readFileSync(at('all.cdxj'), 'utf8').split('\n').length, 4)

  writeFileSync(at('whole.warc.gz'), gzipSync(Buffer.concat([page('/1'), page('/2')])))
  t.match(await cli(t, ['warc', 'index', 'whole.warc.gz']), { code: 1, stderr: /compressed as a whole/ })
  t.notOk(existsSync(at('whole.warc.gz.cdxj')))
  mkdirSync(at('taken'))
  t.match(await cli(t, ['warc', 'index', 'archive', '--out', 'taken']), { code: 1, stderr: /cannot be written/ })
  t.notOk(existsSync(at('taken.tmp')))
})

t.test('on a terminal, a line is written anew', async (t) => {
  const written: string[] = []
  let number = 0
  await new Promise<void>((resolve) => {
    const end = showProgress({
      isTTY: true,
      write: (text) => {
        if (written.push(text) === 2) setImmediate(() => resolve(end()))
      }
    }, () => `line ${Math.floor(number++ / 2)}`)
  })
  t.strictSame(written, ['\r\x1b[Kline 0', '\r\x1b[Kline 1', '\r\x1b[K'])
  showProgress({ write: (text) => written.push(text) }, () => 'never')()
  t.equal(written.length, 3)
})
