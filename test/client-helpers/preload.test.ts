/** What `proxyEnv` has Node load before a program: whichever way it asks, nothing goes past the proxy in silence. */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { withPreload } from '../../plugin/clients/proxy-environment'
import { CertificateAuthority, proxyAuthResolver } from '../../plugin/index'
import { plain } from '../support/plain-child'
import { start } from '../support/proxy'
import type { Proxy, ProxyOptions, Setup } from '../support/proxy'
import { UNDICI } from '../support/undici'

const MODULES = join(__dirname, '../../node_modules')

/** What programs begin with: `report` prints the text of an answer, or the message of the error and of its cause. */
const PRELUDE = `
  const http = require('node:http')
  const https = require('node:https')
  const get = (url, options = {}) => new Promise((resolve, reject) => {
    const { get } = url.startsWith('https:') ? https : http
    get(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => { text += chunk }).on('end', () => resolve(text))
    }).on('error', reject)
  })
  const text = async (url) => (await fetch(url)).text()
  const report = async (promise) => {
    const chain = (err) => [err.message, ...(err.cause ? chain(err.cause) : [])]
    console.log(await promise.catch((err) => chain(err).join(': ')))
  }
`

/** Whether this Node itself reads the proxy variables. */
const NODE_READS = process.allowedNodeEnvironmentFlags.has('--use-env-proxy')

const BODY: Setup = (app) => {
  app.get('/direct', async (request) => `direct ${String(request.proxy)}`)
  app.get('/prefix/*', async ({ proxy }) => proxy!.url)
  app.get('/:user/*', async ({ proxy }) => `${proxy!.username} ${proxy!.url}`)
}

async function serve (t: Test, options: ProxyOptions = {}): Promise<Proxy> {
  return await start(t, { ...options, prox: { resolver: '/prefix/', ...options.prox } }, BODY)
}

/** Runs a program in the environment of a proxy, and resolves with the lines that it printed. */
async function run (env: Record<string, string>, program: string, nodeOptions = ''): Promise<string[]> {
  const args = ['-e', `${PRELUDE};(async () => { ${program} })()`]
  const [file, all] = plain(process.execPath, args, `${nodeOptions} ${env.NODE_OPTIONS}`)
  const { stdout } = await promisify(execFile)(file, all, {
    env: { PATH: process.env.PATH, NODE_NO_WARNINGS: '1', ...env }, timeout: 60_000
  })
  return stdout.trimEnd().split('\n')
}

/** An option of Node that has `require('undici')` give another package, or none. */
function replacing (t: Test, name: string | null): string {
  const file = join(t.testdir(), 'replace.cjs')
  const given = name === null
    ? "throw new Error('no such module')"
    : `return load(${JSON.stringify(join(MODULES, name))}, ...rest)`
  writeFileSync(file, `
    const Module = require('node:module')
    const load = Module._load
    Module._load = (asked, ...rest) => {
      if (asked !== 'undici') return load(asked, ...rest)
      ${given}
    }`)
  return `--require ${file}`
}

for (const { version, name, skip } of UNDICI) {
  t.test(`fetch and undici ${version} come to the proxy`, { skip }, async (t) => {
    const { app } = await serve(t)
    const lines = await run(app.proxyEnv(), `
      for (const url of ['http://example.com/a', 'https://example.com/a']) {
        await report(text(url))
        const undici = require(${JSON.stringify(join(MODULES, name))})
        await report(undici.request(url).then(({ body }) => body.text()))
        await report(undici.fetch(url).then((response) => response.text()))
      }
      await require(${JSON.stringify(join(MODULES, name))}).getGlobalDispatcher().close()`, replacing(t, name))
    t.strictSame(lines, ['http', 'https'].flatMap((scheme) => Array(3).fill(`${scheme}://example.com/a`)))
  })
}

t.test('every agent comes to the proxy: the global ones, those of a program, those of one request', async (t) => {
  const { app } = await serve(t)
  const urls = ['http://example.com/a', 'https://example.com/a', 'http://[2001:db8::1]:81/', 'https://192.0.2.1:8443/']
  const lines = await run(app.proxyEnv(), `
    for (const url of ${JSON.stringify(urls)}) {
      const { Agent } = url.startsWith('https:') ? https : http
      const agent = new Agent({ keepAlive: true })
      for (const options of [{}, { agent }, { agent }, { agent: false }]) await report(get(url, options))
      agent.destroy()
    }`)
  t.strictSame(lines, urls.flatMap((url) => Array(4).fill(url)))
})

t.test('ways of its own stay', async (t) => {
  const proxy = await serve(t)
  const direct = createServer((request, response) => response.end(`direct ${request.url}`))
  const path = join(t.testdir(), 's')
  await new Promise<void>((resolve) => direct.listen(path, resolve))
  t.teardown(() => direct.close())
  const lines = await run(proxy.app.proxyEnv(), `
    const { HttpsProxyAgent } = require(${JSON.stringify(join(MODULES, 'https-proxy-agent'))})
    const agent = new HttpsProxyAgent(process.env.HTTPS_PROXY)
    await report(get('https://example.com/agent', { agent }))
    await report(get('http://unix/socket', { socketPath: ${JSON.stringify(path)}, agent: new http.Agent() }))
    await report(get(process.env.HTTP_PROXY + '/direct', { agent: new http.Agent() }))
    const socket = require('node:net').connect(${JSON.stringify(path)})
    await report(get('http://own/', { createConnection: () => socket }))`)
  t.strictSame(lines, ['https://example.com/agent', 'direct /socket', 'direct null', 'direct /'])
})

t.test('credentials come to a proxy that speaks TLS', async (t) => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const validate = (...credentials: string[]): boolean => credentials.join(' ') === 'jane@home s:ü'
  const resolver = proxyAuthResolver({ validate })
  const { app } = await start(t, { fastify: { https: { key, cert } }, prox: { ca, resolver } }, BODY)
  const program = `
    const agent = new https.Agent()
    await report(get('https://example.com/a', { agent }))
    await report(get('http://example.com/a', { agent: new http.Agent() }))
    await report(text('https://example.com/a'))`
  const lines = await run(app.proxyEnv({ username: 'jane@home', password: 's:ü' }), program)
  const [secure, plain] = ['https', 'http'].map((scheme) => `jane@home ${scheme}://example.com/a`)
  t.strictSame(lines, [secure, plain, secure])

  const refused = await run(app.proxyEnv({ username: 'joe' }), program)
  t.equal(refused[0], 'The proxy answered 407 to CONNECT example.com:443')
  t.equal(refused[1], 'The proxy answered 407 to CONNECT example.com:80')
  t.match(refused[2], /^fetch failed: /)
})

t.test('a proxy that is gone is an error', async (t) => {
  const { app } = await serve(t)
  const env = app.proxyEnv()
  await app.close()
  const { NODE_EXTRA_CA_CERTS, ...rest } = env
  const lines = await run(rest, `
    await report(get('http://127.0.0.1:1/', { agent: new http.Agent() }))
    await report(text('http://127.0.0.1:1/'))`)
  const { port } = new URL(env.HTTP_PROXY)
  t.match(lines[0], `ECONNREFUSED 127.0.0.1:${port}`)
  t.match(lines[1], /^fetch failed/)
})

t.test('a proxy without a port is at that of its scheme', async () => {
  for (const [scheme, port] of [['http', 80], ['https', 443]] as const) {
    const HTTP_PROXY = `${scheme}://127.13.13.13`
    const env = { NODE_USE_ENV_PROXY: '1', NODE_OPTIONS: withPreload(), HTTP_PROXY }
    const [line] = await run(env, "await report(get('http://example.com/', { agent: new http.Agent() }))")
    t.match(line, `ECONNREFUSED 127.13.13.13:${port}`)
  }
})

t.test('undici that another preload has loaded before comes to the proxy as well', async (t) => {
  const { app } = await serve(t)
  const copy = join(MODULES, 'undici')
  const lines = await run(app.proxyEnv(), `
    await report(text('http://example.com/a'))
    await report(require(${JSON.stringify(copy)}).request('http://example.com/a').then(({ body }) => body.text()))`,
  `--require ${copy}`)
  t.strictSame(lines, Array(2).fill('http://example.com/a'))
})

t.test('hosts of noProxy are asked directly', async (t) => {
  const { app } = await serve(t)
  const direct = createServer((request, response) => response.end('direct'))
  await new Promise<void>((resolve) => direct.listen(0, '127.0.0.1', resolve))
  t.teardown(() => direct.close())
  const { port } = direct.address() as AddressInfo
  const name = 'a.internal.example'
  const cases = [
    ['127.0.0.1', ['127.0.0.1']], ['127.0.0.1', [`127.0.0.1:${port}`]], ['127.0.0.1', ['*']],
    [name, ['.internal.example']], [name, ['*.INTERNAL.example']], [name, ['b.example', name]],
    ['127.0.0.1', []], ['127.0.0.1', ['127.0.0.1:1']], ['127.0.0.1', ['localhost']], [name, ['internal.example']],
    [name, ['[::1]']]
  ] as const
  const lines = await run(app.proxyEnv({ noProxy: ['127.0.0.1'] }), `
    const lookup = (host, { all }, callback) => {
      const address = '127.0.0.1'
      callback(null, all ? [{ address, family: 4 }] : address, 4)
    }
    const direct = 'http://127.0.0.1:${port}/'
    await report(get(direct, { agent: new http.Agent() }))
    for (const [host, noProxy] of ${JSON.stringify(cases)}) {
      process.env.NO_PROXY = process.env.no_proxy = noProxy.join(',')
      const url = 'http://' + host + ':${port}/'
      const answer = await get(url, { agent: new http.Agent({ lookup }) })
      console.log(answer === url ? 'proxied' : answer)
    }`)
  t.strictSame(lines, [...Array(7).fill('direct'), ...Array(5).fill('proxied')])
})

t.test('without undici fetch comes to the proxy, or fails with words that say why', async (t) => {
  const { app } = await serve(t)
  const lines = await run(app.proxyEnv(), `
    await report(text('http://example.com/a'))
    await report(get('http://example.com/a'))
    const dispatcher = globalThis[Symbol.for('undici.globalDispatcher.1')]
    await dispatcher.close()
    await dispatcher.destroy()`, replacing(t, null))
  if (NODE_READS) t.equal(lines[0], 'http://example.com/a')
  else t.match(lines[0], /^fetch failed: fastify-prox: nothing was sent, .* Install undici@7 .*: no such module$/)
  t.equal(lines[1], 'http://example.com/a', 'which needs no undici')
})

t.test('without undici another copy of undici fails with the same words where Node leads it nowhere', async (t) => {
  const { app } = await serve(t)
  const copy = JSON.stringify(join(MODULES, 'undici'))
  const program = `await report(require(${copy}).request('http://example.com/').then(() => 'came'))`
  const lines = await run(app.proxyEnv(), program, replacing(t, null))
  t.match(lines[0], NODE_READS ? 'came' : /^fastify-prox: nothing was sent/)
})

t.test('a program prints the warnings that it had without a proxy, and no other', async (t) => {
  const { app } = await serve(t)
  const program = "fetch('http://example.com/').then(() => process.emitWarning('mine', { code: 'A' }))"
  const [file, args] = plain(process.execPath, ['-e', program], withPreload())
  const env = { PATH: process.env.PATH, ...app.proxyEnv() }
  const { stderr } = await promisify(execFile)(file, args, { env, timeout: 60_000 })
  t.match(stderr, /^\(node:\d+\) \[A\] Warning: mine\n/)
  t.notMatch(stderr, 'UNDICI')
})

t.test('NODE_USE_ENV_PROXY=0 turns it off', async (t) => {
  const { app, port } = await serve(t)
  const nowhere = 'http://127.0.0.1:1'
  const env = { ...app.proxyEnv(), NODE_USE_ENV_PROXY: '0', HTTP_PROXY: nowhere, http_proxy: nowhere }
  const url = `http://127.0.0.1:${port}/direct`
  const lines = await run(env, `await report(get('${url}')); await report(text('${url}'))`)
  t.strictSame(lines, ['direct null', 'direct null'])
})

t.test('no proxy for a scheme is none', async (t) => {
  const { app, port } = await serve(t)
  const env = { ...app.proxyEnv(), HTTP_PROXY: '', http_proxy: '', HTTPS_PROXY: '', https_proxy: '' }
  const url = `http://127.0.0.1:${port}/direct`
  const lines = await run(env, `
    await report(get('${url}', { agent: new http.Agent() }))
    await report(text('${url}'))`)
  t.strictSame(lines, ['direct null', 'direct null'])
})
