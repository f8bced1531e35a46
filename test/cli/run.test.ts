/** `fastify-prox run`: a program behind an application that a module exports. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startHost } from '../tunnel/passing'
import { cli, startCli } from './cli'

/** Asks for each URL and prints the answers; the environment leads it to the proxy. */
const ASK = `
import http from 'node:http'
for (const url of process.argv.slice(2)) {
  const response = await new Promise((resolve) => http.get(url, resolve))
  console.log(response.statusCode, (await response.toArray()).join('').slice(0, 60))
}`

const B = "proxyApps: { 'b.test': async (app) => { app.get('/', async () => 'b') } }"

const APPS = "export default { 'a.test': async (app) => { app.get('/', async () => 'a') } }"

function files (t: Test, more: Record<string, string> = {}): void {
  t.testdir({ 'ask.mjs': ASK, 'apps.mjs': APPS, ...more })
}

/** What runs behind `--`. */
const NODE = ['--', process.execPath]

t.test('a plugin, proxy apps, options, or all of it', async (t) => {
  files(t, {
    'plugin.mjs': "export default async (app) => { app.get('/*', async ({ proxy }) => 'plugin ' + proxy.url) }",
    'options.mjs': `export const options = { resolver: '/p/', ${B} }
      export default async (app) => { app.get('/p/*', async ({ url }) => url) }`,
    'both.mjs': `export const options = { proxyHost: 'me.test', ${B} }
      ${APPS}`,
    'only.mjs': `export const options = { ${B} }`,
    'compiled.cjs': `exports.__esModule = true
      exports.default = async (app) => { app.get('/*', async () => 'compiled') }`
  })
  const outputs: Record<string, string> = {
    plugin: '200 plugin http://a.test/\n200 plugin http://b.test/\n',
    options: '200 /p/http://a.test/\n200 b\n',
    both: '200 a\n200 b\n',
    only: '404 *\n200 b\n'
  }
  for (const [name, output] of Object.entries(outputs)) {
    const { code, stdout } = await cli(
      t, ['run', `${name}.mjs`, ...NODE, 'ask.mjs', 'http://a.test/', 'http://b.test/']
    )
    t.equal(stdout.replace(/404 .*/g, '404 *'), output, name)
    t.equal(code, 0)
  }
  t.match(await cli(
    t, ['run', 'compiled.cjs', ...NODE, 'ask.mjs', 'http://a.test/']
  ), { stdout: '200 compiled\n', stderr: '' })
})

t.test('the program gets its arguments as they are, and its exit code is the result', async (t) => {
  files(t, { 'tell.mjs': 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7' })
  const args = ['--quiet', '', 'a b', '"c"', '--', '$HOME']
  t.strictSame(await cli(t, ['run', 'apps.mjs', ...NODE, 'tell.mjs', ...args]), {
    code: 7, stdout: `${JSON.stringify(args)}\n`, stderr: ''
  })
})

t.test('requests without a route are told at the end', async (t) => {
  files(t)
  const urls = ['http://a.test/', 'http://b.test/x?key=secret', 'http://b.test/x?key=other', 'http://a.test/none']
  const told = await cli(t, ['run', 'apps.mjs', ...NODE, 'ask.mjs', ...urls])
  t.equal(told.stderr, 'Requests that had no route:\n  GET http://b.test/x?… (2 times)\n  GET http://a.test/none\n')
  t.equal(told.code, 0)
  t.equal((await cli(t, ['run', 'apps.mjs', '--quiet', ...NODE, 'ask.mjs', ...urls])).stderr, '')
  const many = Array.from({ length: 103 }, (_, i) => `http://b.test/${i}`)
  t.match((await cli(t, ['run', 'apps.mjs', ...NODE, 'ask.mjs', ...many])).stderr, /\/99\n {2}and 3 more\n$/)
})

t.test('the CA is in memory, or in a file', async (t) => {
  files(t, {
    'ca.mjs': `import { readFileSync } from 'node:fs'
      console.log(readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8'), process.env.WATCH_REPORT_DEPENDENCIES)`
  })
  const inMemory = await cli(t, ['run', 'apps.mjs', ...NODE, 'ca.mjs'], { WATCH_REPORT_DEPENDENCIES: '1' })
  t.match(inMemory.stdout, /^-----BEGIN CERTIFICATE[^]*END CERTIFICATE-----\s+undefined\n$/)
  t.notOk(existsSync(join(t.testdirName, 'ca')))
  const { stdout } = await cli(t, ['run', 'apps.mjs', '--ca', 'mine.pem', ...NODE, 'ca.mjs'])
  const certificate = stdout.slice(0, stdout.indexOf('-----END CERTIFICATE'))
  t.ok(readFileSync(join(t.testdirName, 'mine.pem'), 'utf8').includes(certificate))
  t.notMatch(stdout, 'PRIVATE KEY')
  writeFileSync(join(t.testdirName, 'own.mjs'), "export const options = { ca: { file: 'module.pem' } }")
  t.equal((await cli(t, ['run', 'own.mjs', ...NODE, 'ca.mjs'])).code, 0)
  t.ok(existsSync(join(t.testdirName, 'module.pem')))
})

t.test('signals are handed on', async (t) => {
  files(t, {
    'wait.mjs': "process.on('SIGTERM', () => process.exit(9)); console.log('ready'); setInterval(() => {}, 1000)",
    'die.mjs': "console.log('ready'); setInterval(() => {}, 1000)",
    'kill.mjs': "process.kill(process.pid, 'SIGKILL')"
  })
  for (
    const [file, signal, code] of [['wait', 'SIGTERM', 9], ['die', 'SIGTERM', 143], ['die', 'SIGINT', 130]] as const
  ) {
    const command = startCli(t, ['run', 'apps.mjs', ...NODE, `${file}.mjs`])
    await command.printed(/ready/)
    command.child.kill(signal)
    t.equal((await command.ended).code, code, `${file} ${signal}`)
  }
  t.equal((await cli(t, ['run', 'apps.mjs', ...NODE, 'kill.mjs'])).code, 137)
})

t.test('what cannot be run', async (t) => {
  files(t, {
    'nothing.mjs': 'export const other = 1',
    'number.mjs': 'export default 5',
    'text.mjs': "export const options = 'none'",
    'throws.mjs': "throw new Error('of its own')",
    'wrong.mjs': 'export const options = { resolvers: 5 }',
    'fails.mjs': "export default async () => { throw new Error('while it loads') }",
    'data.txt': 'no program'
  })
  const failures: Record<string, RegExp> = {
    'nothing.mjs': /^fastify-prox: nothing.mjs has neither a plugin nor an object of proxy apps as its default .*\n$/,
    'number.mjs': /has neither a plugin/,
    'text.mjs': /exports "options" that are no object/,
    'throws.mjs': /^fastify-prox: of its own\n$/,
    'wrong.mjs': /There is no option "resolvers"\. Did you mean "resolver"/,
    'fails.mjs': /while it loads/,
    'absent.mjs': /^fastify-prox: Cannot find module /
  }
  for (const [file, stderr] of Object.entries(failures)) {
    t.match(await cli(t, ['run', file, '--', 'true']), { code: 1, stdout: '', stderr }, file)
  }
  t.match(await cli(t, ['run', 'apps.mjs', '--', 'no-such-program']), {
    code: 127, stderr: 'fastify-prox: no-such-program cannot be run: ENOENT\n'
  })
  t.match(await cli(t, ['run', 'apps.mjs', '--', './data.txt']), { code: 126, stderr: /cannot be run: EACCES/ })
  t.match(await cli(t, ['run', 'apps.mjs']), { code: 2, stderr: /what to run is missing: it stands behind '--'/ })
  t.match(await cli(t, ['run', 'apps.mjs', '--pass', 'a/b', '--', 'true']), {
    code: 2, stderr: /"a\/b" is neither a host nor "\*\." and a host/
  })
})

t.test('--forward forwards what has no route', async (t) => {
  const site = await startHost(t, () => {}, http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => { body += chunk })
    request.on('end', () => response.end(`site ${request.method} ${request.url} ${body}`))
  }))
  const url = `http://127.0.0.1:${site.port}/x`
  files(t, {
    'taken.mjs': "export default async (app) => { app.get('/*', async () => 'taken') }",
    'post.mjs': ASK.replace('http.get(url, resolve)', `http.request(
      url, { method: 'POST', headers: { 'content-type': 'application/json' } }, resolve).end('{"a":')`)
  })
  const allow = ['--forward', '--allow', '127.0.0.1, 10.0.0.0/8']
  t.strictSame(await cli(t, ['run', 'apps.mjs', ...allow, ...NODE, 'ask.mjs', 'http://a.test/', url]), {
    code: 0, stdout: '200 a\n200 site GET /x \n', stderr: ''
  })
  t.match(await cli(t, ['run', 'apps.mjs', '--forward', ...NODE, 'ask.mjs', url]), {
    stdout: /^403 .*FST_PROX_ADDRESS_REFUSED/
  })
  t.match(await cli(t, ['run', 'taken.mjs', ...allow, ...NODE, 'ask.mjs', url]), { stdout: '200 taken\n' })
  t.match(
    await cli(t, ['run', 'taken.mjs', ...allow, ...NODE, 'post.mjs', url]), { stdout: '200 site POST /x {"a":\n' }
  )
})

t.test('--pass passes tunnels through', async (t) => {
  const host = await startHost(t, (socket) => socket.end('the host'))
  files(t, {
    'policy.mjs': `export const options = { onConnect: ({ hostname }) => hostname === 'refused.test' ? 418 : undefined }
      ${APPS}`,
    'connect.mjs': `
import net from 'node:net'
const { hostname, port } = new URL(process.env.HTTP_PROXY)
for (const authority of process.argv.slice(2)) {
  const socket = net.connect(port, hostname)
  socket.write(\`CONNECT \${authority} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n\`)
  let text = ''
  for await (const bytes of socket) { text += bytes; if (
    text.includes('{') || text.endsWith('\\r\\n\\r\\n')
  ) { socket.write('GET / HTTP/1.0\\r\\n\\r\\n') } }
  console.log(text.slice(9, 12), text.split('\\r\\n\\r\\n').at(-1))
}`
  })
  const { port } = host
  const pass = ['--pass', 'LOCALHOST,127.0.0.1', '--pass', '*.localhost', '--allow', '127.0.0.0/8,::1']
  const { stdout } = await cli(t, [
    'run', 'policy.mjs', ...pass, ...NODE, 'connect.mjs',
    `localhost:${port}`, `127.0.0.1:${port}`, 'refused.test:1', 'a.test:80'
  ])
  const lines = stdout.trimEnd().split('\n')
  t.strictSame(lines.slice(0, 2), ['200 the host', '200 the host'])
  t.match(lines[2], /^418 .*FST_PROX_CONNECT_REFUSED/)
  t.equal(lines[3], '200 a', 'intercepted')
})
