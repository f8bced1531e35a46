import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import Module from 'node:module'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { once } from 'node:events'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { request } from 'undici'
import { CertificateAuthority } from '../../plugin/ca/authority'
import fastifyProx from '../../plugin/index'
import { create, start } from '../support/proxy'

const PROX = { resolver: '/prefix/' }

function telling (app: FastifyInstance): void {
  app.get('/prefix/*', async ({ url, proxy }) => ({ url, tunnelled: proxy?.tunnel !== null, username: proxy?.username }))
  app.get('/:user/*', async ({ url, proxy }) => ({ url, username: proxy?.username }))
}

/** A server that speaks TLS itself, with a certificate of its own CA. */
async function secureServer (): Promise<{ ca: CertificateAuthority, https: { key: string, cert: string } }> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  return { ca, https: { key, cert } }
}

t.test('the environment of a program', async (t) => {
  const proxy = await start(t, { prox: PROX }, telling)
  const env = proxy.app.proxyEnv()
  const url = `http://127.0.0.1:${proxy.port}`
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'WS_PROXY', 'WSS_PROXY', 'ALL_PROXY'] as const) {
    t.equal(env[name], url, name)
    t.equal(env[name.toLowerCase() as keyof typeof env], url, name.toLowerCase())
  }
  t.equal(env.npm_config_proxy, url)
  t.equal(env.npm_config_https_proxy, url)
  for (const name of ['NO_PROXY', 'no_proxy', 'npm_config_noproxy'] as const) t.equal(env[name], '', `${name} excepts nothing`)
  t.equal(env.NODE_USE_ENV_PROXY, '1')
  const file = env.NODE_EXTRA_CA_CERTS
  for (const name of ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'AWS_CA_BUNDLE', 'CARGO_HTTP_CAINFO', 'DENO_CERT', 'WEBSOCKET_CLIENT_CA_BUNDLE', 'npm_config_cafile'] as const) {
    t.equal(env[name], file, name)
  }
})

t.test('a program of the same machine uses it', async (t) => {
  const proxy = await start(t, { prox: PROX }, telling)
  // Node itself reads the proxy variables in later versions only, undici in all of them; Node reads NODE_EXTRA_CA_CERTS.
  const program = `
    const { EnvHttpProxyAgent, request } = require('undici')
    const dispatcher = new EnvHttpProxyAgent()
    Promise.all(['http://localhost/a', 'https://127.0.0.1/b', 'https://example.com/c'].map(async (url) =>
      (await (await request(url, { dispatcher })).body.json()).url
    )).then((urls) => { console.log(urls.join()); dispatcher.close() })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
    env: Object.assign({ PATH: process.env.PATH, NO_PROXY: 'localhost,127.0.0.1', NODE_NO_WARNINGS: '1' }, proxy.app.proxyEnv())
  })
  t.equal(stdout, '/prefix/http://localhost/a,/prefix/https://127.0.0.1/b,/prefix/https://example.com/c\n')
})

t.test('the certificate is in a private file, without the key', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  for (const ca of [{ file }, { store: new Map<string, string>() }]) {
    const proxy = await start(t, { prox: { ca } })
    const { SSL_CERT_FILE: name } = proxy.app.proxyEnv()
    const pem = readFileSync(name, 'utf8')
    t.notMatch(pem, /PRIVATE KEY/)
    t.equal(new X509Certificate(pem).fingerprint256, proxy.app.proxyCA.fingerprint256)
    t.equal(statSync(dirname(name)).mode & 0o777, 0o700)
    t.equal(proxy.app.proxyEnv().SSL_CERT_FILE, name, 'written once')
    await proxy.app.close()
    t.notOk(existsSync(dirname(name)), 'removed on close')
  }
  t.match(readFileSync(file, 'utf8'), /PRIVATE KEY/, 'the file of the CA itself stays')
})

t.test('credentials and names', async (t) => {
  const proxy = await start(t, {})
  const { port } = proxy
  const url = (access?: Parameters<FastifyInstance['proxyEnv']>[0]): string => proxy.app.proxyEnv(access).HTTPS_PROXY
  t.equal(url({ hostname: 'proxy.test' }), `http://proxy.test:${port}`)
  t.equal(url({ hostname: '2001:db8::1' }), `http://[2001:db8::1]:${port}`)
  t.equal(url({ username: 'jane@home', password: 'a:b/c' }), `http://jane%40home:a%3Ab%2Fc@127.0.0.1:${port}`)
  t.equal(url({ username: 'jane' }), `http://jane:@127.0.0.1:${port}`)
})

t.test('wherever the server listens', async (t) => {
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

t.test('a server that speaks TLS', async (t) => {
  const { ca, https } = await secureServer()
  const { app, port } = await start(t, { fastify: { https }, prox: { ...PROX, ca } }, telling)
  t.equal(app.proxyEnv().HTTP_PROXY, `https://localhost:${port}`, 'by the name that a certificate has')
  t.equal(app.proxyEnv({ hostname: '127.0.0.1' }).HTTP_PROXY, `https://127.0.0.1:${port}`)
  const dispatcher = app.proxyDispatcher()
  t.teardown(() => dispatcher.close())
  t.match(await (await request('https://example.com/', { dispatcher })).body.json(), { url: '/prefix/https://example.com/' })
})

t.test('a dispatcher', async (t) => {
  const { app } = await start(t, { prox: PROX }, telling)
  const dispatcher = app.proxyDispatcher()
  t.teardown(() => dispatcher.close())
  for (const url of ['http://example.com/a', 'https://example.com/a']) {
    t.match(await (await fetch(url, { dispatcher })).json(), { url: `/prefix/${url}` }, `fetch ${url}`)
    t.match(await (await request(url, { dispatcher })).body.json(), { url: `/prefix/${url}` }, `request ${url}`)
  }
})

t.test('a dispatcher with credentials', async (t) => {
  const { app } = await start(t, { prox: { resolver: fastifyProx.proxyAuthResolver({ validate: (username, password) => `${username} ${password}` === 'jane@home s:ü' || username === 'joe' }) } }, telling)
  for (const [access, username] of [[{ username: 'jane@home', password: 's:ü' }, 'jane@home'], [{ username: 'joe' }, 'joe']] as const) {
    const dispatcher = app.proxyDispatcher(access)
    t.teardown(() => dispatcher.close())
    for (const url of ['http://example.com/', 'https://example.com/']) {
      t.match(await (await fetch(url, { dispatcher })).json(), { username })
    }
  }
  const dispatcher = app.proxyDispatcher({ username: 'jack' })
  t.teardown(() => dispatcher.close())
  await t.rejects(request('http://example.com/', { dispatcher }), { message: /407/ })
})

t.test('without an address there is neither', async (t) => {
  const { app } = await create(t)
  const callers = ['proxyEnv', 'proxyDispatcher'] as const
  for (const caller of callers) {
    t.throws(() => app[caller](), { code: 'FST_PROX_NOT_LISTENING', message: new RegExp(`^${caller}\\(\\) needs .* fastify.listen\\(\\)`) })
  }
  await app.listen({ port: 0 })
  t.ok(app.proxyEnv())
  await app.close()
  for (const caller of callers) t.throws(() => app[caller](), { code: 'FST_PROX_NOT_LISTENING' }, 'closed')

  const { app: local } = await create(t)
  // The path of a unix socket has at most 107 bytes, whatever the name of the test.
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  await local.listen({ path: join(directory, 'proxy.sock') })
  for (const caller of callers) t.throws(() => local[caller](), { code: 'FST_PROX_UNIX_SOCKET', message: new RegExp(`^${caller}\\(\\)`) })
})

t.test('a dispatcher without undici', async (t) => {
  const { app } = await start(t)
  const missing = Object.assign(new Error("Cannot find module 'undici'"), { code: 'MODULE_NOT_FOUND' })
  const loader = Module as unknown as { _load: (...args: unknown[]) => unknown }
  const load = loader._load
  t.capture(loader, '_load', (name: string, ...rest: unknown[]) => {
    if (name === 'undici') throw missing
    return load(name, ...rest)
  })
  t.throws(() => app.proxyDispatcher(), { code: 'FST_PROX_NO_UNDICI', message: /npm install undici@7$/, cause: missing })
})
