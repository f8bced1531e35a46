/** Shell lines that set the proxy and its certificate for a program. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { once } from 'node:events'
import Fastify from 'fastify'
import t from 'tap'
import { downloadApp } from '../../plugin/download/app'
import fastifyProx from '../../plugin/index'
import { basic } from '../support/basic'
import { answerOf, ask, HOST, makeAuthority, portOf, serve, sha256Of } from './support'

/** Variables by which programs find the certificates that they trust. */
const CA_VARIABLES = [
  'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'AWS_CA_BUNDLE',
  'CARGO_HTTP_CAINFO', 'DENO_CERT'
]

t.test('shell lines set the proxy, and write the certificate for every variable', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: HOST }))
  const script = (await ask(app, '/download/env')).body.toString()
  const shell = async (cache: string): Promise<{ stdout: string, stderr: string }> => {
    const command = 'set -eu; eval "$(cat "$SCRIPT")"; env'
    const env = {
      PATH: process.env.PATH,
      HOME: '/nowhere',
      NO_PROXY: '*',
      no_proxy: 'localhost',
      XDG_CACHE_HOME: cache,
      SCRIPT: join(t.testdirName, 'env')
    }
    return await promisify(execFile)('sh', ['-c', command], { env })
  }
  const directory = t.testdir({ env: script, file: '' })

  const cache = join(directory, "it's \"$(echo mine)\"")
  const { stdout, stderr } = await shell(cache)
  t.equal(stderr, '')
  const env = Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s)))
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) {
    t.equal(env[name], `http://127.0.0.1:${portOf(app)}`, name)
  }
  for (const name of ['NO_PROXY', 'no_proxy', 'npm_config_noproxy']) t.equal(env[name], '', name)
  t.equal(env.NODE_USE_ENV_PROXY, '1')
  const file = env.NODE_EXTRA_CA_CERTS as string
  t.equal(file, `${cache}/fastify-prox/ca-${sha256Of(ca).slice(0, 16)}.pem`)
  for (const name of CA_VARIABLES) t.equal(env[name], file, name)
  t.equal((await readFile(file, 'utf8')).trim(), ca.certificatePem.trim())

  await writeFile(file, 'an old one')
  await shell(cache)
  t.equal((await readFile(file, 'utf8')).trim(), ca.certificatePem.trim(), 'written anew')

  const refused = await shell(join(directory, 'file'))
  t.match(refused.stderr, /could not be written, so nothing is set\n$/)
  t.notMatch(refused.stdout, /HTTPS?_PROXY=|CERT/)
})

t.test('shell lines of a proxy that asks for credentials hold those of the client', async (t) => {
  const app = Fastify()
  app.register(fastifyProx, {
    resolver: fastifyProx.proxyAuthResolver({ validate: (_username, password) => password === 'p@ß:/\'$(x)' }),
    ca: { store: new Map() }
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const userinfo = "jürgen:p@ß:/'$(x)"
  const url = `'http://j%C3%BCrgen:p%40%C3%9F%3A%2F'\\''%24(x)@127.0.0.1:${portOf(app)}'`
  for (const encoding of ['utf8', 'latin1'] as const) {
    const headers = basic(userinfo, encoding)
    const script = (await ask(app, `http://${HOST}/download/env`, { headers })).body.toString()
    t.match(script, `export HTTPS_PROXY=${url}\n`, encoding)
    const foreign = { ...headers, origin: 'https://example.com' }
    const forScripts = (await ask(app, `http://${HOST}/download/env`, { headers: foreign })).body.toString()
    t.match(forScripts, `export HTTPS_PROXY=http://127.0.0.1:${portOf(app)}\n`, 'a script of another site')
    const page = (await ask(app, `http://${HOST}/download`, { headers })).body.toString().replaceAll(/<\/?i>/g, '')
    t.match(page, `http://j%C3%BCrgen:PASSWORD@127.0.0.1:${portOf(app)}`)
    t.notMatch(page, '%24(x)', 'the page shows no password')
    const pac = (await ask(app, `http://${HOST}/proxy.pac`, { headers })).body.toString()
    t.match(pac, `return "PROXY 127.0.0.1:${portOf(app)}"`)

    const connect = http.request({
      host: '127.0.0.1', port: portOf(app), method: 'CONNECT', path: `${HOST}:443`, headers, agent: false
    }).end()
    const [, socket] = await once(connect, 'connect') as [http.IncomingMessage, net.Socket]
    const secure = tls.connect({ socket, servername: HOST, ca: app.proxyCA.certificatePem })
    const tunnelled = await answerOf(https.request(`https://${HOST}/download/env`, { createConnection: () => secure }))
    t.match(tunnelled.body.toString(), `export HTTPS_PROXY=${url}\n`, 'in a tunnel, too')
    secure.destroy()
  }
  t.equal((await ask(app, `http://${HOST}/download/env`)).status, 407)
})
