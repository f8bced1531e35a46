/** `fastify-prox run` as a process of its own: what it hands on to the program, and the program to it. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { startHost } from '../tunnel/passing'
import { cli, startCli } from './cli'

const APPS = "export default { 'a.test': async (app) => { app.get('/', async () => 'a') } }"

function files (t: Test, more: Record<string, string> = {}): void {
  t.testdir({ 'apps.mjs': APPS, ...more })
}

/** What runs behind `--`. */
const NODE = ['--', process.execPath]

t.test('the program gets its arguments as they are, and its exit code is the result', async (t) => {
  files(t, { 'tell.mjs': 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7' })
  const args = ['--quiet', '', 'a b', '"c"', '--', '$HOME']
  t.strictSame(await cli(t, ['run', 'apps.mjs', ...NODE, 'tell.mjs', ...args]), {
    code: 7, stdout: `${JSON.stringify(args)}\n`, stderr: ''
  })
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
