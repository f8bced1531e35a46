import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import * as tls from 'node:tls'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { withPreload } from '../../plugin/clients/proxy-environment'
import type { ProxyEnvironment, ProxyEnvironmentOptions } from '../../plugin/index'
import { plain } from '../support/plain-child'
import { create, start } from '../support/proxy'

const PROX = { resolver: '/prefix/' }

/** Variables of programs that trust what the file holds beside their own certificates. */
const ADDED = ['NODE_EXTRA_CA_CERTS', 'DENO_CERT'] as const
/** Variables of programs that trust what the file holds alone. */
const ONLY = [
  'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'AWS_CA_BUNDLE',
  'CARGO_HTTP_CAINFO', 'WEBSOCKET_CLIENT_CA_BUNDLE', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', 'npm_config_cafile',
  'YARN_HTTPS_CA_FILE_PATH'
] as const

function certificatesIn (file: string): X509Certificate[] {
  const pems = readFileSync(file, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []
  return pems.map((pem) => new X509Certificate(pem))
}

t.test('every proxy variable has the URL of the server', async (t) => {
  const proxy = await start(t, { prox: PROX })
  const env = proxy.app.proxyEnv()
  const url = `http://127.0.0.1:${proxy.port}`
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'WS_PROXY', 'WSS_PROXY', 'ALL_PROXY'] as const) {
    t.equal(env[name], url, name)
    t.equal(env[name.toLowerCase() as keyof ProxyEnvironment], url, name.toLowerCase())
  }
  for (const name of ['npm_config_proxy', 'npm_config_https_proxy', 'YARN_HTTP_PROXY', 'YARN_HTTPS_PROXY'] as const) {
    t.equal(env[name], url, name)
  }
  t.equal(env.NODE_USE_ENV_PROXY, '1')
})

t.test('no host is excepted unless noProxy names it', async (t) => {
  const { app } = await start(t)
  const hosts = (options?: ProxyEnvironmentOptions): string[] => {
    const env = app.proxyEnv(options)
    return [env.NO_PROXY, env.no_proxy, env.npm_config_noproxy]
  }
  t.strictSame(hosts(), ['', '', ''])
  t.strictSame(hosts({ noProxy: ['localhost', '.internal.example'] }), Array(3).fill('localhost,.internal.example'))
})

t.test('the certificate is in private files, without the key', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  for (const ca of [{ file }, { store: new Map<string, string>() }]) {
    const { app } = await start(t, { prox: { ca } })
    const env = app.proxyEnv()
    for (const name of [...ADDED, ...ONLY]) {
      t.notMatch(readFileSync(env[name], 'utf8'), /PRIVATE KEY/, name)
      t.equal(certificatesIn(env[name])[0]?.fingerprint256, app.proxyCA.fingerprint256, name)
    }
    const directory = dirname(env.SSL_CERT_FILE)
    t.equal(statSync(directory).mode & 0o777, 0o700)
    t.strictSame(app.proxyEnv(), env, 'written once')
    await app.close()
    t.notOk(existsSync(directory), 'removed on close')
  }
  t.match(readFileSync(file, 'utf8'), /PRIVATE KEY/, 'the file of the CA itself stays')
})

t.test('programs whose roots are replaced trust those of the system as well, unless told otherwise', async (t) => {
  const { app } = await start(t)
  const env = app.proxyEnv()
  for (const name of ADDED) t.equal(certificatesIn(env[name]).length, 1, name)
  const fingerprints = certificatesIn(env.SSL_CERT_FILE).map(({ fingerprint256 }) => fingerprint256)
  const system = (tls as { getCACertificates?: (type: string) => string[] }).getCACertificates?.('system') ?? []
  const roots = system.length > 0 ? system : tls.rootCertificates
  t.strictSame(fingerprints.slice(1), roots.map((pem) => new X509Certificate(pem).fingerprint256))
  for (const name of ONLY) t.equal(env[name], env.SSL_CERT_FILE, name)

  const only = app.proxyEnv({ caBundle: 'only' })
  for (const name of ONLY) t.equal(certificatesIn(only[name]).length, 1, name)
})

t.test('where the system has no roots, or Node cannot tell, those of Node stand in the bundle', async (t) => {
  const replace = (value: unknown): void => {
    t.teardown(t.intercept(require('node:tls'), 'getCACertificates', { value }).restore)
  }
  for (const getCACertificates of [undefined, () => []]) {
    replace(getCACertificates)
    const { app } = await start(t)
    t.equal(certificatesIn(app.proxyEnv().SSL_CERT_FILE).length, 1 + tls.rootCertificates.length)
  }
  const pem = tls.rootCertificates.at(-1)!
  replace(() => [pem])
  const { app } = await start(t)
  const [, ...roots] = certificatesIn(app.proxyEnv().SSL_CERT_FILE).map(({ fingerprint256 }) => fingerprint256)
  t.strictSame(roots, [new X509Certificate(pem).fingerprint256])
})

t.test('NODE_OPTIONS keeps what it has, and has the preload once', async (t) => {
  const { app } = await start(t)
  const { NODE_OPTIONS } = process.env
  t.teardown(() => {
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = NODE_OPTIONS
  })
  delete process.env.NODE_OPTIONS
  const alone = app.proxyEnv().NODE_OPTIONS
  t.match(alone, /^--require \S+preload\.cjs$/)
  process.env.NODE_OPTIONS = '--max-old-space-size=500'
  t.equal(app.proxyEnv().NODE_OPTIONS, `--max-old-space-size=500 ${alone}`)
  process.env.NODE_OPTIONS = app.proxyEnv().NODE_OPTIONS
  t.equal(app.proxyEnv().NODE_OPTIONS, `--max-old-space-size=500 ${alone}`)
})

t.test('NODE_OPTIONS has names with blanks in quotes, which Node reads', async (t) => {
  const file = join(t.testdir({ 'a b "c" \\d.cjs': "console.log('loaded')" }), 'a b "c" \\d.cjs')
  const NODE_OPTIONS = withPreload('--no-warnings', file)
  t.equal(withPreload(NODE_OPTIONS, file), NODE_OPTIONS)
  const [node, args] = plain(process.execPath, ['-p', '"program"'], NODE_OPTIONS)
  const { stdout } = await promisify(execFile)(node, args)
  t.equal(stdout, 'loaded\nprogram\n')
})

t.test('a program of the same machine uses the variables', async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/prefix/*', async ({ url }) => ({ url }))
  })
  // Of undici, which reads the proxy variables in every version of Node.
  const program = `
    const { EnvHttpProxyAgent, request } = require('undici')
    const dispatcher = new EnvHttpProxyAgent()
    Promise.all(['http://localhost/a', 'https://127.0.0.1/b', 'https://example.com/c'].map(async (url) =>
      (await (await request(url, { dispatcher })).body.json()).url
    )).then((urls) => { console.log(urls.join()); dispatcher.close() })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
    env: Object.assign({ PATH: process.env.PATH, NO_PROXY: 'localhost', NODE_NO_WARNINGS: '1' }, proxy.app.proxyEnv())
  })
  t.equal(stdout, '/prefix/http://localhost/a,/prefix/https://127.0.0.1/b,/prefix/https://example.com/c\n')
})

t.test('the URL has the credentials and the name that it is to have', async (t) => {
  const proxy = await start(t, {})
  const { port } = proxy
  const url = (options?: ProxyEnvironmentOptions): string => proxy.app.proxyEnv(options).HTTPS_PROXY
  t.equal(url({ hostname: 'proxy.test' }), `http://proxy.test:${port}`)
  t.equal(url({ hostname: '2001:db8::1' }), `http://[2001:db8::1]:${port}`)
  t.equal(url({ username: 'jane@home', password: 'a:b/c' }), `http://jane%40home:a%3Ab%2Fc@127.0.0.1:${port}`)
  t.equal(url({ username: 'jane' }), `http://jane:@127.0.0.1:${port}`)
})

t.test('the URL leads to wherever the server listens', async (t) => {
  for (const [host, expected] of [
    [undefined, '127.0.0.1'], ['localhost', '127.0.0.1'], ['127.0.0.1', '127.0.0.1'], ['0.0.0.0', '127.0.0.1'],
    ['::1', '[::1]'], ['::', '[::1]']
  ] as const) {
    const { app } = await start(t, { listen: { port: 0, host } })
    const { hostname, port, protocol } = new URL(app.proxyEnv().http_proxy)
    t.equal(protocol, 'http:')
    t.equal(hostname, expected, String(host))
    const socket = connect(Number(port), hostname.replace(/[[\]]/g, ''))
    await once(socket, 'connect')
    socket.destroy()
  }
})

t.test('options that are none are refused', async (t) => {
  const { app } = await start(t)
  const unknown = { code: 'FST_PROX_UNKNOWN_OPTION', message: 'There is no option "pasword". Did you mean "password"?' }
  t.throws(() => app.proxyEnv({ pasword: 'x' } as object), unknown)
  const refused = (options: object, message: RegExp): void => {
    t.throws(() => app.proxyEnv(options), { code: 'FST_PROX_INVALID_OPTION', message })
  }
  for (const noProxy of ['localhost', [1], [''], ['a,b']]) refused({ noProxy }, /noProxy takes an array of hosts/)
  refused({ username: 5 }, /option username takes a string, got 5$/)
  refused({ caBundle: true }, /option caBundle takes 'system' or 'only', got true$/)
})

t.test('it needs a port', async (t) => {
  const { app } = await create(t)
  const notListening = { code: 'FST_PROX_NOT_LISTENING', message: /^proxyEnv\(\) needs .* fastify.listen\(\)/ }
  t.throws(() => app.proxyEnv(), notListening)
  await app.listen({ port: 0 })
  t.ok(app.proxyEnv())
  await app.close()
  t.throws(() => app.proxyEnv(), notListening, 'closed')

  const local: FastifyInstance = (await create(t)).app
  await local.listen({ path: join(t.testdir(), 'proxy.sock') })
  t.throws(() => local.proxyEnv(), { code: 'FST_PROX_UNIX_SOCKET', message: /^proxyEnv\(\)/ })
})
