/**
 * `run` and `start` in the process of the test, where their coverage counts. What programs that run behind them say
 * goes into a file; the command as a process of its own is in the files beside this one.
 */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import NodeModule from 'node:module'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { connect } from '../support/raw'
import { startHost } from '../tunnel/passing'
import { until } from '../tunnel/support'
import { APPS, begin, command, files, started } from './in-process'

/** How Node loads what is required; undocumented, and what mocking libraries use. */
const Module = NodeModule as unknown as { _load (name: string, ...rest: unknown[]): unknown }

const B = "proxyApps: { 'b.test': async (app) => { app.get('/', async () => 'b') } }"

t.test('run tells which requests had no route, unless it is quiet', async (t) => {
  const path = files(t)
  const ask = ['--', process.execPath, path('ask.cjs'), path('out')]
  t.strictSame(await command('run', path('apps.mjs'), ...ask, 'http://a.test/', 'http://b.test/x?key=secret'), {
    code: 0, stdout: '', stderr: 'Requests that had no route:\n  GET http://b.test/x?…\n'
  })
  t.match(readFileSync(path('out'), 'utf8'), /^200 a\n404 .*\n$/)
  const many = Array.from({ length: 102 }, (_, i) => `http://b.test/${Math.min(i, 100)}`)
  t.match((await command('run', path('apps.mjs'), ...ask, ...many)).stderr, /\/99\n {2}and 2 more\n$/)
  t.match((await command('run', path('apps.mjs'), ...ask, 'http://b.test/', 'http://b.test/')).stderr, /\(2 times\)\n$/)
  t.strictSame(await command('run', path('apps.mjs'), '--quiet', ...ask, 'http://b.test/'), {
    code: 0, stdout: '', stderr: ''
  })
})

t.test('run exits as its program does', async (t) => {
  const path = files(t, { 'data.txt': 'no program' })
  const node = (program: string): string[] => ['run', path('apps.mjs'), '--', process.execPath, '-e', program]
  t.equal((await command(...node('process.exitCode = 7'))).code, 7)
  t.equal((await command(...node("process.kill(process.pid, 'SIGKILL')"))).code, 137)
  t.match(await command('run', path('apps.mjs'), '--', 'no-such-program'), {
    code: 127, stderr: 'fastify-prox: no-such-program cannot be run: ENOENT\n'
  })
  t.match(await command('run', path('apps.mjs'), '--', path('data.txt')), { code: 126, stderr: /EACCES/ })
  t.match(await command('run', path('apps.mjs')), { code: 2, stderr: /what to run is missing/ })
})

t.test('run hands signals on, but those that its terminal gives to the program itself', async (t) => {
  const path = files(t)
  const program = `require('fs').writeFileSync(process.argv[1], '')
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(signal.length))
    setInterval(() => {}, 1000)`
  const { isTTY } = process.stdin
  t.teardown(() => { process.stdin.isTTY = isTTY })
  for (const onTerminal of [false, true]) {
    process.stdin.isTTY = onTerminal
    const ready = path(`ready ${onTerminal}`)
    const { code } = begin('run', path('apps.mjs'), '--', process.execPath, '-e', program, ready)
    await until(() => existsSync(ready))
    process.emit('SIGINT')
    if (onTerminal) process.emit('SIGTERM')
    t.equal(await code, onTerminal ? 'SIGTERM'.length : 'SIGINT'.length)
  }
})

t.test('a module exports a plugin, proxy apps, options or all of it; the command says what it lacks', async (t) => {
  const path = files(t, {
    'plugin.mjs': "export default async (app) => { app.get('/*', async () => 'plugin') }",
    'compiled.cjs': `exports.__esModule = true
      exports.default = async (app) => { app.get('/*', async () => 'compiled') }`,
    'only.mjs': `export const options = { onConnect: () => undefined, ${B} }`,
    'options.mjs': `export const options = { resolver: '/p/', ${B} }
      export default async (app) => { app.get('/p/*', async ({ url }) => url) }`,
    'both.mjs': `export const options = { proxyHost: 'me.test', ${B} }
      ${APPS}`,
    'throws.mjs': "throw new Error('of its own')",
    'wrong.mjs': 'export const options = { resolvers: 5 }',
    'fails.mjs': "export default async () => { throw new Error('while it loads') }",
    'nothing.mjs': 'export const other = 1',
    'number.mjs': 'export default 5',
    'text.mjs': "export const options = 'none'"
  })
  const ask = (module: string): string[] => {
    const program = [process.execPath, path('ask.cjs'), path(`${module} out`), 'http://a.test/', 'http://b.test/']
    return ['run', path(module), '--', ...program]
  }
  const answers: Record<string, string> = {
    'plugin.mjs': '200 plugin\n200 plugin\n',
    'compiled.cjs': '200 compiled\n200 compiled\n',
    'only.mjs': '404 *\n200 b\n',
    'options.mjs': '200 /p/http://a.test/\n200 b\n',
    'both.mjs': '200 a\n200 b\n'
  }
  for (const [module, expected] of Object.entries(answers)) {
    t.equal((await command(...ask(module))).code, 0)
    t.equal(readFileSync(path(`${module} out`), 'utf8').replace(/404 .*/, '404 *'), expected, module)
  }
  const failures: Record<string, RegExp> = {
    'nothing.mjs': /^fastify-prox: \S+nothing.mjs has neither a plugin nor an object of proxy apps as its /,
    'number.mjs': /has neither a plugin/,
    'text.mjs': /exports "options" that are no object/,
    'throws.mjs': /^fastify-prox: of its own\n$/,
    'wrong.mjs': /There is no option "resolvers"\. Did you mean "resolver"/,
    'fails.mjs': /while it loads/,
    'absent.mjs': /^fastify-prox: Cannot find module /
  }
  for (const [module, stderr] of Object.entries(failures)) {
    t.match(await command(...ask(module)), { code: 1, stdout: '', stderr }, module)
  }
})

t.test('start listens until a signal comes', async (t) => {
  const path = files(t, { 'own.mjs': `export const options = { ca: { store: new Map() } }; ${APPS}` })
  for (const [module, ...more] of [['own.mjs'], ['own.mjs', '--https'], ['apps.mjs', '--ca', path("a 'b'.pem")]]) {
    const running = begin('start', path(module!), '--port', '0', ...more)
    const port = await started(running)
    if (more.length === 0) {
      const client = await connect(t, { port, host: '127.0.0.1' })
      t.equal((await client.ask('GET', 'http://a.test/', { connection: 'close' })).body, 'a')
    }
    process.emit('SIGTERM')
    t.equal(await running.code, 0)
    t.match(running.written.stdout, more[0] === '--https' ? '--proxy-cacert ' : '--cacert ')
  }
  t.ok(existsSync(path("a 'b'.pem")))
  for (const wrong of ['x', '65536', '-1', '1.5']) {
    const { code, stderr } = await command('start', path('own.mjs'), `--port=${wrong}`)
    t.match({ code, stderr }, { code: 2, stderr: /a number from 0 to 65535/ }, wrong)
  }
  const { port } = await startHost(t, () => {})
  const { code, stderr } = await command('start', path('own.mjs'), '--port', String(port))
  t.match({ code, stderr }, { code: 1, stderr: /EADDRINUSE/ })
})

t.test('--forward forwards what has no route, WebSockets too; --pass passes tunnels through', async (t) => {
  const server = http.createServer(async (request, response) => {
    response.end(`site ${request.url} ${(await request.toArray()).join('')}`)
  })
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data) => socket.send(`site says ${String(data)}`))
  })
  const site = await startHost(t, () => {}, server)
  const path = files(t, {
    'own.mjs': `
      const onConnect = ({ hostname }) => hostname === 'no.test' ? 418 : undefined
      export const options = { ca: { store: new Map() }, onConnect }
      ${APPS}`,
    'taken.mjs': `export const options = { ca: { store: new Map() } }
      export default async (app) => { app.get('/*', async () => 'taken') }`
  })
  const allow = ['--port', '0', '--forward', '--allow', '127.0.0.0/8', '--pass', 'LOCALHOST, *.localhost']
  const running = begin('start', path('own.mjs'), ...allow)
  const port = await started(running)
  const ask = async (target: string): Promise<string> => {
    const client = await connect(t, { port, host: '127.0.0.1' })
    const { status, body } = await client.ask('GET', target, { connection: 'close' })
    return `${status} ${body}`
  }
  t.equal(await ask(`http://127.0.0.1:${site.port}/x`), '200 site /x ')
  t.equal(await ask('http://a.test/'), '200 a')
  const open = async (authority: string): Promise<[status: number, socket: Socket]> => {
    const client = await connect(t, { port, host: '127.0.0.1' })
    client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
    const { status } = await client.response('CONNECT')
    return [status, client.socket]
  }
  const [, tunnel] = await open(`127.0.0.1:${site.port}`)
  const webSocket = new WebSocket(`ws://127.0.0.1:${site.port}/`, { createConnection: () => tunnel as never })
  await once(webSocket, 'open')
  webSocket.send('hello')
  t.equal(String((await once(webSocket, 'message'))[0]), 'site says hello')
  webSocket.terminate()
  for (const [authority, expected] of [
    [`localhost:${site.port}`, 200], ['no.test:443', 418]
  ] as const) {
    const [status, socket] = await open(authority)
    t.equal(status, expected, authority)
    socket.destroy()
  }
  process.emit('SIGINT')
  t.equal(await running.code, 0)

  const taken = begin('start', path('taken.mjs'), ...allow)
  const client = await connect(t, { port: await started(taken), host: '127.0.0.1' })
  t.equal((await client.ask('GET', `http://127.0.0.1:${site.port}/`)).body, 'taken')
  const fields = { 'content-type': 'application/json', connection: 'close' }
  t.equal((await client.ask('POST', `http://127.0.0.1:${site.port}/y`, fields, '{"a":')).body, 'site /y {"a":')
  process.emit('SIGTERM')
  t.equal(await taken.code, 0)
  t.match(await command('start', path('own.mjs'), '--pass', 'a/b'), { code: 2, stderr: /neither a host nor/ })
})

t.test('--forward does without @fastify/websocket where it is not installed, or registered already', async (t) => {
  const site = await startHost(t, () => {}, http.createServer((request, response) => response.end('site')))
  const path = files(t, {
    'sockets.mjs': `import websocket from '@fastify/websocket'
      export default async (app) => { await app.register(websocket) }`
  })
  const load = Module._load
  t.teardown(() => { Module._load = load })
  Module._load = (name, ...rest) => {
    if (name === '@fastify/websocket') throw new Error('no such module')
    return load(name, ...rest)
  }
  const ask = ['--', process.execPath, path('ask.cjs'), path('out'), `http://127.0.0.1:${site.port}/`]
  const allow = ['--forward', '--allow', '127.0.0.1']
  t.equal((await command('run', path('apps.mjs'), ...allow, ...ask)).code, 0)
  Module._load = load
  t.equal((await command('run', path('sockets.mjs'), ...allow, ...ask)).code, 0)
  t.equal((await command('run', path('apps.mjs'), '--forward', ...ask)).code, 0)
  t.match(readFileSync(path('out'), 'utf8'), /^(?:200 site\n){2}403 .*FST_PROX_ADDRESS_REFUSED/)
})

t.test('a certificate authority that the module has made is taken as it is, but for --ca', async (t) => {
  const index = JSON.stringify(join(__dirname, '../../plugin/index.ts'))
  const path = files(t, {
    'own.mjs': `import { createRequire } from 'node:module'
      const { CertificateAuthority } = createRequire(import.meta.url)(${index})
      export const options = { ca: await CertificateAuthority.load({ store: new Map(), name: 'Mine' }) }`
  })
  const running = begin('start', path('own.mjs'), '--port', '0')
  await started(running)
  process.emit('SIGTERM')
  await running.code
  t.match(running.written.stdout, /^CA: {5}\S+ca\.pem \("Mine", /m)
})

t.test('--watch has Node run the command again, without --watch, until a signal comes', async (t) => {
  const path = files(t, {
    'told.cjs': "require('fs').writeFileSync(__dirname + '/args', process.argv.slice(2).join(' '))"
  })
  const [node, script] = process.argv as [string, string]
  t.teardown(() => {
    process.execPath = node
    process.argv[1] = script
  })
  process.argv[1] = path('told.cjs')
  for (const args of [['start', 'app.cjs', '--watch'], ['run', 'app.cjs', '--watch', '--', 'a', '--watch']]) {
    const again = args.filter((_, i) => i !== 2).join(' ')
    const { code } = begin(...args)
    await until(() => existsSync(path('args')) && readFileSync(path('args'), 'utf8') === again)
    process.emit('SIGTERM')
    await code
    writeFileSync(path('args'), '')
  }
  process.execPath = path('no-node')
  t.match(await command('start', 'app.cjs', '--watch'), { code: 127, stderr: /no-node cannot be run: ENOENT\n$/ })
})
