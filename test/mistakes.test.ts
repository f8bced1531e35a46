/** The mistakes that newcomers make, each with the message that says what to do. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { run } from '../cli/program'
import fastifyProx from '../plugin/index'

type Attempt = (app: FastifyInstance, directory: string) => unknown

const ca = { store: new Map<string, string>() }
const register = (options: object, setup: Attempt = () => {}): Attempt => async (app, directory) => {
  await app.register(fastifyProx, { ca, ...options })
  return await setup(app, directory)
}
const app = async (): Promise<void> => {}

const MISTAKES: Array<[what: string, attempt: Attempt, message: string]> = [
  ['a misspelt option', register({ resolve: '/p/' }), 'There is no option "resolve". Did you mean "resolver"?'],
  ['a misspelt option within', register({ ca: { fiel: 'x' } }),
    'There is no option "ca.fiel". Did you mean "ca.file"?'],
  ['an option of a resolver', () => fastifyProx.proxyAuthResolver({ valiadte: () => true } as object),
    'There is no option "valiadte". Did you mean "validate"?'],
  ['a prefix without its first slash', register({ resolver: 'p/' }),
    'The option resolver takes a prefix that begins with "/", or a function, got \'p/\''],
  ['a resolver that is not called', register({ resolver: fastifyProx.proxyAuthResolver }),
    'The option resolver takes what proxyAuthResolver() returns, got proxyAuthResolver itself: call it'],
  ['the other one', register({ resolver: fastifyProx.fixedResolver }),
    'The option resolver takes what fixedResolver() returns, got fixedResolver itself: call it'],
  ['a resolver that is given its realm', () => fastifyProx.proxyAuthResolver('realm' as never),
    "The option proxyAuthResolver takes an object of options, got 'realm'"],
  ['the path of the CA as the option', register({ ca: './my.pem' }),
    "The option ca takes an object: { file: './my.pem' } for a CA in a file, got './my.pem'"],
  ['a TLS option that Node refuses', register({ tls: { minVersion: 'TLSv9' } }),
    'The option tls takes options of tls.createSecureContext other than key, cert, pfx, got some that it refuses: '],
  ['seconds for milliseconds', register({ timeouts: { idle: '5s' } }),
    "The option timeouts.idle takes whole milliseconds from 0 to 2147483647, got '5s'"],
  ['an app for all hosts', register({ proxyApps: { '*': app } }),
    '(for all hosts there is the option resolver), got \'*\''],
  ['a host with a scheme', register({ proxyApps: { 'https://api.test': app } }),
    'host names such as "api.example.com" or "*.example.com", without port, got \'https://api.test\''],
  ['two spellings of a host', register({ proxyApps: { 'a.test': app, 'A.TEST': app } }),
    "The option proxyApps takes each host once, got 'a.test' and 'A.TEST'"],
  ['an app that is none', register({ proxyApps: { 'a.test': {} } }),
    "The option proxyApps['a.test'] takes a plugin, or null for a further name of the application, got an object"],
  ['a route that is there twice', register({
    proxyApps: {
      'a.test': async (mock: FastifyInstance) => { mock.get('/x', app).get('/x', app) }
    }
  }, (app) => app.ready()), "The proxy host a.test has a route for GET '/x' already"],
  ['a second registration', register({}, (app) => app.register(fastifyProx, { ca })),
    'fastify-prox is registered already, and one proxy answers for the whole server'],
  ['a prefix of register', register({ prefix: '/p' }), 'register it without the prefix /p'],
  ['a WebSocket route without @fastify/websocket',
    register({}, (app) => app.get('/ws', { websocket: true } as object, () => {})),
    'The option websocket of GET /ws takes true when @fastify/websocket is registered before the route, got true'],
  ['a WebSocket route of a proxy app that comes before @fastify/websocket', register({
    proxyApps: {
      'a.test': async (mock: FastifyInstance) => { mock.get('/ws', { websocket: true } as object, () => {}) }
    }
  }, (app) => app.register(websocket)), 'when @fastify/websocket is registered before the route'],
  ['injectProxy() without a URL', register({}, (app) => app.injectProxy(undefined as never)),
    'The option url takes an absolute URL with http: or https: and without credentials, got undefined'],
  ['injectProxy() with a path', register({}, (app) => app.injectProxy('/path')),
    "The option url takes an absolute URL with http: or https: and without credentials, got '/path'"],
  ['proxyEnv() before listen()', register({}, (app) => app.proxyEnv()),
    'proxyEnv() needs the address of a server that listens: call it after fastify.listen()'],
  ['a file that is no CA', async (app, directory) => {
    const file = join(directory, 'ca.pem')
    writeFileSync(file, 'hello')
    await app.register(fastifyProx, { ca: { file } })
  }, 'There is no usable certificate authority in ']
]

for (const [what, attempt, message] of MISTAKES) {
  t.test(what, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-mistakes-'))
    const app = Fastify()
    t.teardown(() => app.close())
    const err = await Promise.resolve().then(() => attempt(app, directory)).then(() => null, (err: Error) => err)
    t.ok(err?.message.includes(message), `${message} | ${err?.message}`)
    t.match((err as { code?: string }).code, /^FST_/)
  })
}

const COMMANDS: Array<[args: string, exitCode: number, stderr: string]> = [
  ['ca sho', 2, 'fastify-prox: There is no command "sho". Did you mean "show"?\nRun with --help for usage.'],
  ['ca create --nmae x', 2,
    'fastify-prox: There is no option "--nmae". Did you mean "--name"?\nRun with --help for usage.'],
  ['ca show --file none.pem', 1, '; "fastify-prox ca create --file none.pem" makes one'],
  ['ca issue a..b --file FILE', 1, 'fastify-prox: "a..b" is neither a host name nor an IP address'],
  ['ca export --format der --file FILE', 1,
    'fastify-prox: der is binary and would garble the terminal: name a file with --out'],
  ['ca export --out /no-such-directory/ca.pem --file FILE', 1,
    'fastify-prox: /no-such-directory/ca.pem cannot be written: '],
  ['ca create --file FILE', 1, ' is there already; --force replaces it']
]

t.test('mistakes with the command are told in words, without a stack', async (t) => {
  const file = join(mkdtempSync(join(tmpdir(), 'fastify-prox-mistakes-')), 'ca.pem')
  await fastifyProx.CertificateAuthority.load({ file })
  for (const [args, exitCode, says] of COMMANDS) {
    let told = ''
    const output = {
      stdout: { isTTY: true, write: () => {} },
      stderr: { write: (text: string) => { told += text } }
    }
    t.equal(await run(args.replace('FILE', file).split(' '), output), exitCode, args)
    t.ok(told.includes(says), `${says} | ${told}`)
    t.notMatch(told, /no such file or directory,|\n {4}at /, 'in words, without a stack')
  }
})

t.test('a prefix that runs into the URL is warned of, and works', async (t) => {
  const warnings: string[] = []
  const stream = { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } }
  for (const resolver of ['/prefix', '/prefix/']) {
    const app = Fastify({ logger: { level: 'warn', stream } })
    t.teardown(() => app.close())
    await app.register(fastifyProx, { ca, resolver })
    app.get('/*', async ({ url }) => url)
    t.equal((await app.injectProxy('http://example.com/')).body, `${resolver}http://example.com/`)
  }
  t.strictSame(warnings, [
    "fastify-prox: with the prefix '/prefix', http://example.com/ is answered by the route for " +
    "/prefixhttp://example.com/. Was '/prefix/' meant?"
  ])
})
