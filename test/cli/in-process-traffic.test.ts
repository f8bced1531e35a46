/** `--record`, `--warc`, `--replay` and `warc index` in the process of the test, where their coverage counts. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { startSite } from '../forward/support'
import { connect } from '../support/raw'
import { until } from '../support/until'
import { record, startSocket } from '../warc/support'
import { APPS, beginOn, command, files, started } from './in-process'

const ALLOW = ['--allow', '127.0.0.1']

/** Behind what the log says. */
function lastLine (text: string): string {
  return text.trimEnd().split('\n').at(-1)!
}

t.test('run records to a HAR file and to WARC files, and replays either without the site', async (t) => {
  const path = files(t)
  const site = await startSite(t, (request, response) => {
    if (request.url === '/empty') response.writeHead(204).end()
    else response.end(`site ${request.url}`)
  })
  const url = `http://127.0.0.1:${site.port}`
  const ask = (out: string, ...urls: string[]): string[] =>
    ['--', process.execPath, path('ask.cjs'), path(out), ...urls]
  const [har, archive] = [path('site.har'), path('archive')]
  const recorders = ['--record', har, '--warc', archive]
  t.strictSame(await command('run', ...recorders, ...ALLOW, ...ask('recorded', `${url}/a`, `${url}/empty`)), {
    code: 0, stdout: '', stderr: `Recorded to ${har} and ${archive}: 1 host, 2 requests, 0.0 MB\n`
  })
  t.equal(readFileSync(path('recorded'), 'utf8'), '200 site /a\n204 \n')
  const seen = site.seen.length
  for (const [name, replayed] of [['har', har], ['warc', archive]] as const) {
    const urls = [`${url}/a`, `${url}/none`, 'http://other.test/none', `${url}/empty`]
    const { code, stderr } = await command('run', '--replay', replayed, ...ALLOW, ...ask(name, ...urls))
    t.equal(code, 0)
    t.equal(lastLine(stderr), `Replayed from ${replayed}: 2 hosts, 4 requests, 0.0 MB, 2 misses`)
    t.match(readFileSync(path(name), 'utf8'), /^200 site \/a\n(?:(?:501|404) \{"statusCode":.*\n){2}204 \n$/)
    const missed = await command('run', '--replay', replayed, ...ALLOW, ...ask(name, `${url}/none`))
    t.equal(lastLine(missed.stderr), `Replayed from ${replayed}: 1 host, 1 request, 0.0 MB, 1 miss`)
    t.equal((await command('run', '--quiet', '--replay', replayed, ...ask(name, `${url}/a`))).stderr, '')
  }
  t.equal(site.seen.length, seen, 'the site is not asked again')
  t.match(await command('run', '--replay', path('none'), ...ask('none')), { code: 1, stderr: /none cannot be read/ })
})

t.test('what the application answers itself is told of apart from what is replayed', async (t) => {
  const path = files(t)
  const { port, server } = await startSite(t, (_request, response) => response.end('x'.repeat(1_500_000)))
  const urls = ['http://a.test/', `http://127.0.0.1:${port}/`]
  for (const [option, verb] of [['--warc', 'Recorded to'], ['--replay', 'Replayed from']] as const) {
    const { stderr } = await command('run', path('apps.mjs'), option, path('archive'), ...ALLOW,
      '--', process.execPath, path('ask.cjs'), path(option), ...urls)
    t.match(stderr, new RegExp(`^${verb} .*archive: 2 hosts, 2 requests, 1\\.5 MB`))
    t.match(readFileSync(path(option), 'utf8'), /^200 a\n200 x{60}\n$/)
    server.close()
  }
})

t.test('start shows on a terminal what it records, and tells at its end unless it is quiet', async (t) => {
  const path = files(t, { 'own.mjs': `export const options = { ca: { store: new Map() } }; ${APPS}` })
  const site = await startSite(t, (_request, response) => response.end('site'))
  const args = ['start', path('own.mjs'), '--warc', path('archive'), '--port', '0', ...ALLOW]
  const line = `Recorded to ${path('archive')}: `
  for (const isTTY of [true, false]) {
    const running = beginOn(isTTY, args)
    const client = await connect(t, { port: await started(running), host: '127.0.0.1' })
    const { body } = await client.ask('GET', `http://127.0.0.1:${site.port}/`, { connection: 'close' })
    t.equal(body, 'site')
    const shown = `\r\x1b[K${line}0 hosts, 0 requests, 0.0 MB\r\x1b[K${line}1 host, 1 request, 0.0 MB`
    if (isTTY) await until(() => running.written.stderr === shown)
    process.emit('SIGTERM')
    t.equal(await running.code, 0)
    t.equal(running.written.stderr, `${isTTY ? `${shown}\r\x1b[K` : ''}${line}1 host, 1 request, 0.0 MB\n`)
  }
  const before = process.listenerCount('SIGTERM')
  const quiet = beginOn(true, [...args, '--quiet'])
  await until(() => process.listenerCount('SIGTERM') > before)
  process.emit('SIGTERM')
  t.equal(await quiet.code, 0)
  t.strictSame(quiet.written, { stdout: '', stderr: '' })
})

t.test('run and start say which arguments are missing', async (t) => {
  const path = files(t)
  const message = /missing argument 'app', or one of --forward, --record, --warc and --replay/
  t.match(await command('start'), { code: 2, stdout: '', stderr: message })
  t.match(await command('run', '--', process.execPath), { code: 2, stderr: message })
  t.match(await command('run'), { code: 2, stderr: message })
  t.match(await command('run', '--forward'), { code: 2, stderr: /what to run is missing/ })
  t.match(await command('run', '--forward', '--', process.execPath, '-e', ''), { code: 0, stderr: '' })
  t.match(await command('run', '--record', path('a.har'), '--replay', path('b.har'), '--', 'x'), {
    code: 2, stderr: /cannot be used with option '--record <file>'/
  })
  t.match(await command('warc', 'index'), { code: 2, stderr: /missing required argument 'files'/ })
})

t.test('warc index writes an index beside each file, or one of all of them', async (t) => {
  const path = files(t, { archive: {}, 'taken.cdxj': {}, 'text.warc': 'text' })
  const page = (name: string): Buffer => record({ url: `http://a.test/${name}`, head: 'HTTP/1.1 200 OK', body: name })
  writeFileSync(path('archive/a.warc.gz'), Buffer.concat([page('1'), page('2')].map((each) => gzipSync(each))))
  writeFileSync(path('archive/b.warc'), Buffer.concat([page('3'), page('4').subarray(0, -10)]))
  const broken = `${path('archive/b.warc')} is broken from byte ${page('3').length} on`
  const beside = await command('warc', 'index', path('archive'))
  t.match(beside, { code: 0, stdout: '' })
  t.strictSame(beside.stderr.split('\n'), [
    `fastify-prox: warning: ${broken}; what is before is indexed`,
    `fastify-prox: wrote 2 captures to ${path('archive/a.warc.gz.cdxj')}`,
    `fastify-prox: wrote 1 capture to ${path('archive/b.warc.cdxj')}`,
    ''
  ])
  const all = path('all.cdxj')
  t.match((await command('warc', 'index', path('archive'), '--out', all)).stderr, `wrote 3 captures to ${all}\n`)
  const keys = readFileSync(all, 'utf8').trimEnd().split('\n').map((line) => line.split(' ')[0])
  t.strictSame(keys, ['test,a)/1', 'test,a)/2', 'test,a)/3'])

  writeFileSync(path('whole.warc.gz'), gzipSync(Buffer.concat([page('1'), page('2')])))
  const wrong: Array<[args: string[], message: RegExp]> = [
    [[path('whole.warc.gz')], /whole\.warc\.gz cannot be read: it is compressed as a whole/],
    [[path('text.warc')], /text\.warc cannot be read: it is not a WARC file/],
    [[await startSocket(t)], /socket cannot be read: ENXIO/],
    [[path('archive'), '--out', path('taken.cdxj')], /WARC files cannot be written to \S+taken\.cdxj: EISDIR/]
  ]
  for (const [args, stderr] of wrong) {
    t.match(await command('warc', 'index', ...args), { code: 1, stdout: '', stderr })
  }
  t.notOk(existsSync(path('whole.warc.gz.cdxj')))
  t.notOk(readdirSync(join(path('archive'), '..')).some((name) => name.endsWith('.tmp')), 'nothing is left behind')
})
