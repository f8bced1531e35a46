import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http2 from 'node:http2'
import https from 'node:https'
import http from 'node:http'
import type net from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import vm from 'node:vm'
import { once } from 'node:events'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyListenOptions, FastifyPluginAsync } from 'fastify'
import forge from 'node-forge'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/index'
import { directNotice, downloadApp } from '../../plugin/download/app'
import type { PublicCertificate } from '../../plugin/download/certificate'
import fastifyProx from '../../plugin/index'

const HOST = 'fastify-prox'
const ROUTES = ['/download', '/download/', '/download/trusted.css', '/download/env', '/download/pem', '/download/cer', '/download/p12', '/download/mobileconfig', '/proxy.pac']

/** A CA with its private key, which no response may hold. */
async function makeAuthority (keyType: 'ec' | 'rsa' = 'ec'): Promise<{ ca: CertificateAuthority, key: string }> {
  const store = new Map<string, string>()
  const ca = await CertificateAuthority.load({ store, keyType })
  const [key] = store.values()
  return { ca, key: key as string }
}

/** The download app alone, listening, as the proxy host that `request.proxy` would tell of. */
async function serve (t: Test, plugin: FastifyPluginAsync, app: FastifyInstance = Fastify(), listen: FastifyListenOptions = { port: 0, host: '127.0.0.1' }): Promise<FastifyInstance> {
  app.decorateRequest('proxy', null)
  app.register(plugin)
  await app.listen(listen)
  t.teardown(() => app.close())
  return app
}

/** A path that is short enough for a unix socket wherever this runs. */
async function temporarySocket (t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return join(directory, 'socket')
}

function portOf (app: FastifyInstance): number {
  return (app.server.address() as net.AddressInfo).port
}

interface Answer { status: number, headers: http.IncomingHttpHeaders, body: Buffer }

async function answerOf (request: http.ClientRequest): Promise<Answer> {
  request.end()
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  const body = Buffer.concat(await response.toArray() as Buffer[])
  return { status: response.statusCode as number, headers: response.headers, body }
}

function ask (app: FastifyInstance, path: string, options: http.RequestOptions = {}): Promise<Answer> {
  return answerOf(http.request({ host: '127.0.0.1', port: portOf(app), path, agent: false, ...options }))
}

/** A tunnel through the proxy, up to the TLS inside it. */
async function tunnel (app: FastifyInstance, ca: CertificateAuthority, alpn: string): Promise<tls.TLSSocket> {
  const connect = http.request({ host: '127.0.0.1', port: portOf(app), method: 'CONNECT', path: `${HOST}:443`, agent: false }).end()
  const [, socket] = await once(connect, 'connect') as [http.IncomingMessage, net.Socket]
  const secure = tls.connect({ socket, servername: HOST, ca: ca.certificatePem, ALPNProtocols: [alpn] })
  await once(secure, 'secureConnect')
  return secure
}

t.test('every form of the certificate', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: HOST }))

  const pem = await ask(app, '/download/pem')
  t.equal(pem.headers['content-type'], 'application/x-x509-ca-cert')
  t.equal(pem.headers['content-disposition'], 'inline; filename="fastify-prox-ca.pem"')
  t.equal(new X509Certificate(pem.body).fingerprint256, ca.fingerprint256)
  t.match(pem.body.toString(), /^-----BEGIN CERTIFICATE-----\n/)

  const cer = await ask(app, '/download/cer')
  t.equal(cer.headers['content-type'], 'application/pkix-cert')
  t.equal(cer.headers['content-disposition'], 'inline; filename="fastify-prox-ca.cer"')
  t.strictSame(cer.body, ca.certificateDer)

  const p12 = await ask(app, '/download/p12')
  t.equal(p12.headers['content-type'], 'application/x-pkcs12')
  t.equal(p12.headers['content-disposition'], 'inline; filename="fastify-prox-ca.p12"')
  const store = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(p12.body.toString('latin1')), true, '')
  const bags = store.safeContents.flatMap(({ safeBags }) => safeBags)
  t.strictSame(bags.map(({ type }) => type), [forge.pki.oids.certBag], 'one certificate, and no key bag')
  t.strictSame(Buffer.from(forge.asn1.toDer(bags[0]?.asn1 as forge.asn1.Asn1).getBytes(), 'latin1'), ca.certificateDer)

  const profile = await ask(app, '/download/mobileconfig')
  t.equal(profile.headers['content-type'], 'application/x-apple-aspen-config')
  t.equal(profile.headers['content-disposition'], 'inline; filename="fastify-prox-ca.mobileconfig"')
  const xml = profile.body.toString()
  t.match(xml, '<string>com.apple.security.root</string>')
  t.match(xml, `<data>${ca.certificateDer.toString('base64')}</data>`)
  const uuids = [...xml.matchAll(/<key>PayloadUUID<\/key>\s*<string>([^<]*)/g)].map((match) => match[1] as string)
  t.equal(uuids.length, 2)
  for (const uuid of uuids) t.match(uuid, /^[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/)
  t.not(uuids[0], uuids[1])
  t.equal((await ask(app, '/download/mobileconfig')).body.toString(), xml, 'a second one would replace the first')
  const other = await serve(t, downloadApp({ ca: (await makeAuthority()).ca, host: HOST }))
  t.notMatch((await ask(other, '/download/mobileconfig')).body.toString(), uuids[0], 'another CA is another profile')
})

t.test('what all responses share', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: HOST }), Fastify({ exposeHeadRoutes: false }))
  for (const path of ROUTES) {
    const { status, headers, body } = await ask(app, path)
    t.equal(status, 200, path)
    t.equal(headers['cache-control'], 'no-store')
    t.equal(headers['x-content-type-options'], 'nosniff')
    const head = await ask(app, path, { method: 'HEAD' })
    t.equal(head.status, 200, `HEAD ${path}`)
    t.equal(head.headers['content-type'], headers['content-type'])
    t.equal(Number(head.headers['content-length']), body.length)
    t.equal(head.body.length, 0)
  }
  t.equal((await ask(app, '/download/key')).status, 404)
  t.equal((await ask(app, '/download/pem', { method: 'POST' })).status, 404)
})

t.test('encapsulated: nothing of it is seen by the rest of the application', async (t) => {
  const { ca } = await makeAuthority()
  const app = Fastify({ routerOptions: { ignoreTrailingSlash: true } })
  app.get('/other', () => 'other')
  await serve(t, downloadApp({ ca, host: HOST }), app)
  const other = await ask(app, '/other')
  t.equal(other.headers['cache-control'], undefined)
  t.equal((await ask(app, '/download/')).status, 200, 'once, with ignoreTrailingSlash')
})

/** The numbers of a private key, as bytes: who has one has the key. */
function secretsOf (pem: string): Buffer[] {
  const jwk = createPrivateKey(pem).export({ format: 'jwk' })
  return ['d', 'p', 'q', 'dp', 'dq', 'qi'].flatMap((name) => typeof jwk[name] === 'string' ? [Buffer.from(jwk[name], 'base64url')] : [])
}

/** Whether bytes hold one of the secrets, or say that they hold a private key, as they are or in base64, base64url or hex. */
function holdsSecret (bytes: Buffer, secrets: Buffer[]): boolean {
  const found = (haystack: Buffer): boolean => haystack.includes('PRIVATE KEY') || secrets.some((secret) => haystack.includes(secret))
  const text = bytes.toString('latin1')
  const decoded = [...text.matchAll(/[\w+/\s-]{20,}/g)].flatMap(([run]) => {
    const digits = run.replaceAll(/\s/g, '')
    return [0, 1, 2, 3].flatMap((start) => [Buffer.from(digits.slice(start), 'base64'), Buffer.from(digits.slice(start), 'hex')])
  })
  return [bytes, ...decoded].some(found)
}

t.test('a private key is in none of them', async (t) => {
  for (const keyType of ['ec', 'rsa'] as const) {
    const { ca, key } = await makeAuthority(keyType)
    const secrets = secretsOf(key)
    t.equal(secrets.length, keyType === 'ec' ? 1 : 6)
    const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
    for (const leak of [key, der, der.toString('base64'), `x${der.toString('base64url')}`, der.toString('hex'), secrets[0]?.toString('base64')]) {
      t.ok(holdsSecret(Buffer.from(leak as string), secrets), 'the search finds one')
    }

    const app = await serve(t, downloadApp({ ca, host: HOST }))
    for (const path of ROUTES) {
      const { headers, body } = await ask(app, path)
      t.notOk(holdsSecret(body, secrets), path)
      t.notOk(holdsSecret(Buffer.from(JSON.stringify(headers)), secrets), `headers of ${path}`)
    }
  }
})

/** A CA whose name is made to break out of wherever it is put. */
function hostile (ca: CertificateAuthority): PublicCertificate {
  const name = 'a"><script>x</script>\u0000\u001b\ud800&amp; \'</string>\n</title>'
  return {
    name,
    certificates: ca.certificates.map((certificate) => ({ ...certificate, name })),
    trustedPem: ca.trustedPem,
    certificatePem: ca.certificatePem,
    certificateDer: ca.certificateDer,
    fingerprint256: ca.fingerprint256,
    notAfter: ca.notAfter,
    pkcs12: () => ca.pkcs12(),
    certificate: (host) => ca.certificate(host)
  }
}

const ESCAPED = 'a&quot;&gt;&lt;script&gt;x&lt;/script&gt;\ufffd\ufffd\ufffd&amp;amp; &#39;&lt;/string&gt;\n&lt;/title&gt;'

t.test('the page', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: HOST }))
  const { headers, body } = await ask(app, '/download')
  const page = body.toString()
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  t.equal(headers['referrer-policy'], 'no-referrer')
  t.match(page, /^<!doctype html>\n<html lang="en">/)
  t.match(page, `<title>${ca.name} · ${HOST}</title>`)
  t.match(page.replaceAll('<wbr>', ''), `<code class="fingerprint">${ca.fingerprint256}</code>`)
  t.match(page, `<time datetime="${ca.notAfter.toISOString()}">`)
  t.match(page, 'unique to this server')
  for (const file of ['pem', 'cer', 'p12', 'mobileconfig']) t.match(page, `<a href="/download/${file}">`)
  for (const name of ['macOS', 'Windows', 'Linux', 'iPhone and iPad', 'Android', 'Firefox', 'Chromium and Chrome', 'curl', 'Node.js', 'Python', 'Java', 'Go', 'git']) {
    t.match(page, `<summary>${name}</summary>`)
  }
  const text = page.replaceAll(/<\/?i>/g, '')
  t.match(text, `NODE_EXTRA_CA_CERTS=fastify-prox-ca.pem NODE_USE_ENV_PROXY=1 HTTPS_PROXY=http://127.0.0.1:${portOf(app)} node app.js`)
  t.match(text, `delete-certificate -t -Z ${createHash('sha256').update(ca.certificateDer).digest('hex').toUpperCase()} `)
  t.match(text, `delstore Root ${new X509Certificate(ca.certificateDer).fingerprint.replaceAll(':', '').toLowerCase()}`)
})

t.test('the page loads its own style, the probe, and nothing else', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: 'ca.example' }))
  const { headers, body } = await ask(app, '/download')
  const page = body.toString()
  const [style, ...more] = [...page.matchAll(/<style>(.*?)<\/style>/gs)].map((match) => match[1] as string)
  t.strictSame(more, [])
  const probe = 'https://ca.example/download/trusted.css'
  const [script, ...moreScripts] = [...page.matchAll(/<script>(.*?)<\/script>/gs)].map((match) => match[1] as string)
  t.strictSame(moreScripts, [])
  const hash = (text?: string): string => `'sha256-${createHash('sha256').update(text as string).digest('base64')}'`
  t.equal(headers['content-security-policy'], `default-src 'none'; script-src ${hash(script)}; ` +
    `style-src ${hash(style)} ${probe}; ` +
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
  t.notMatch(page, /<script[^>]|<img|<iframe|\son\w+=|\sstyle=/)
  t.strictSame([...page.matchAll(/<link[^>]*>/g)].map(String), ['<link rel="icon" href="data:,">', `<link rel="stylesheet" href="${probe}">`])
  const css = await ask(app, '/download/trusted.css')
  t.equal(css.headers['content-type'], 'text/css; charset=utf-8')
})

t.test('the name of a CA is escaped', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca: hostile(ca), host: HOST }))
  const page = (await ask(app, '/download')).body.toString()
  t.ok(page.includes(`<title>${ESCAPED} · ${HOST}</title>`))
  t.ok(page.includes(`<dd>${ESCAPED}</dd>`))
  t.equal(page.split('<script').length, 2, 'the only script is the one of the page')
  const profile = (await ask(app, '/download/mobileconfig')).body.toString()
  t.equal(profile.split(`<string>${ESCAPED}</string>`).length, 3)
  t.notMatch((await ask(app, '/download/env')).body.toString(), '</title>')
})

t.test('shell lines', async (t) => {
  const { ca } = await makeAuthority()
  const app = await serve(t, downloadApp({ ca, host: HOST }))
  const script = (await ask(app, '/download/env')).body.toString()
  const shell = async (cache: string): Promise<{ stdout: string, stderr: string }> => {
    const command = 'set -eu; eval "$(cat "$SCRIPT")"; env'
    return await promisify(execFile)('sh', ['-c', command], { env: { PATH: process.env.PATH, HOME: '/nowhere', NO_PROXY: '*', no_proxy: 'localhost', XDG_CACHE_HOME: cache, SCRIPT: join(t.testdirName, 'env') } })
  }
  const directory = t.testdir({ env: script, file: '' })

  const cache = join(directory, "it's \"$(echo mine)\"")
  const { stdout, stderr } = await shell(cache)
  t.equal(stderr, '')
  const env = Object.fromEntries(stdout.split('\n').map((line) => line.split(/=(.*)/s)))
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy']) t.equal(env[name], `http://127.0.0.1:${portOf(app)}`, name)
  for (const name of ['NO_PROXY', 'no_proxy', 'npm_config_noproxy']) t.equal(env[name], '', name)
  t.equal(env.NODE_USE_ENV_PROXY, '1')
  const file = env.NODE_EXTRA_CA_CERTS as string
  t.equal(file, `${cache}/fastify-prox/ca-${createHash('sha256').update(ca.certificateDer).digest('hex').slice(0, 16)}.pem`)
  for (const name of ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT', 'AWS_CA_BUNDLE', 'CARGO_HTTP_CAINFO', 'DENO_CERT']) {
    t.equal(env[name], file, name)
  }
  t.equal((await readFile(file, 'utf8')).trim(), ca.certificatePem.trim())

  await writeFile(file, 'an old one')
  await shell(cache)
  t.equal((await readFile(file, 'utf8')).trim(), ca.certificatePem.trim(), 'written anew')

  const refused = await shell(join(directory, 'file'))
  t.match(refused.stderr, /could not be written, so nothing is set\n$/)
  t.notMatch(refused.stdout, /HTTPS?_PROXY=|CERT/)
})

async function autoConfigurationOf (t: Test, answer: Promise<Answer>): Promise<unknown> {
  const { status, headers, body } = await answer
  t.equal(status, 200)
  t.equal(headers['content-type'], 'application/x-ns-proxy-autoconfig')
  return vm.runInNewContext(`${body.toString()}; FindProxyForURL('https://example.com/', 'example.com')`)
}

t.test('the address is the one that the client reached', async (t) => {
  const { ca } = await makeAuthority()
  const download = downloadApp({ ca, host: HOST })

  t.test('IPv4', async (t) => {
    const app = await serve(t, download)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac')), `PROXY 127.0.0.1:${portOf(app)}`)
  })

  const noIPv6 = !Object.values(networkInterfaces()).flat().some((address) => address?.family === 'IPv6') && 'this machine has no IPv6'
  t.test('IPv6, and IPv4 on a dual-stack socket', { skip: noIPv6 }, async (t) => {
    const app = await serve(t, download, Fastify(), { port: 0, host: '::' })
    const port = portOf(app)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac', { host: '::1' })), `PROXY [::1]:${port}`)
    t.match((await ask(app, '/download/env', { host: '::1' })).body.toString(), `export HTTPS_PROXY='http://[::1]:${port}'\n`)
    t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac')), `PROXY 127.0.0.1:${port}`)
  })

  t.test('a proxy that speaks TLS', async (t) => {
    const app = Fastify({
      https: { SNICallback: (name, done) => { ca.secureContext(name).then((context) => done(null, context), done) } }
    })
    await serve(t, download, app as unknown as FastifyInstance)
    const options = { host: '127.0.0.1', servername: 'proxy.example', port: portOf(app as unknown as FastifyInstance), ca: ca.certificatePem, agent: false }
    const get = (path: string): Promise<Answer> => answerOf(https.request({ ...options, path }))
    t.equal(await autoConfigurationOf(t, get('/proxy.pac')), `HTTPS 127.0.0.1:${options.port}`)
    t.match((await get('/download/env')).body.toString(), `export HTTPS_PROXY=https://127.0.0.1:${options.port}\n`)
  })

  t.test('a unix socket has none', async (t) => {
    const socketPath = await temporarySocket(t)
    await serve(t, download, Fastify(), { path: socketPath })
    const get = (path: string): Promise<Answer> => answerOf(http.request({ socketPath, path, agent: false }))
    for (const path of ['/download/env', '/proxy.pac']) {
      const { status, headers, body } = await get(path)
      t.equal(status, 501)
      t.equal(headers['content-type'], 'text/plain; charset=utf-8')
      t.match(body.toString(), /^# .*unix socket.*\n$/, 'one comment')
    }
    t.match((await get('/download')).body.toString(), 'http://PROXY:8080')
  })
})

t.test('through the proxy', async (t) => {
  const app = Fastify()
  app.register(fastifyProx, { resolver: '/prefix/', ca: { store: new Map() } })
  app.get('/prefix/*', (request) => request.url)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const ca = app.proxyCA

  for (const path of ROUTES) t.equal((await ask(app, `http://${HOST}${path}`)).status, 200, path)
  t.strictSame((await ask(app, `http://${HOST}/download/cer`)).body, ca.certificateDer)
  t.equal((await ask(app, `http://${HOST}/download/cer`, { method: 'HEAD' })).status, 200)
  t.match((await ask(app, 'http://example.com/download/pem')).body.toString(), '/prefix/http://example.com/download/pem')
  t.match((await ask(app, `http://${HOST}/download`)).body.toString(), 'Not trusted yet')

  t.test('https, with HTTP/1.1', async (t) => {
    const socket = await tunnel(app, ca, 'http/1.1')
    const page = await answerOf(https.request(`https://${HOST}/download`, { createConnection: () => socket }))
    t.match(page.body.toString(), 'the page came over https')
    t.notMatch(page.body.toString(), 'rel="stylesheet"')
  })

  t.test('https, with HTTP/2', async (t) => {
    const socket = await tunnel(app, ca, 'h2')
    const session = http2.connect(`https://${HOST}`, { createConnection: () => socket })
    const stream = session.request({ ':path': '/download/env' })
    t.match((await stream.setEncoding('utf8').toArray()).join(''), `export HTTPS_PROXY=http://127.0.0.1:${portOf(app)}\n`)
    session.close()
  })
})

t.test('shell lines of a proxy that asks for credentials', async (t) => {
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
    const headers = { 'proxy-authorization': `Basic ${Buffer.from(userinfo, encoding).toString('base64')}` }
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

t.test('asked directly', async (t) => {
  const listen = async (t: Test, setUp: (app: FastifyInstance) => void = () => {}): Promise<FastifyInstance> => {
    const app = Fastify()
    setUp(app)
    return await serve(t, directNotice({ host: HOST }), app)
  }
  const browser = { accept: 'text/html,*/*;q=0.8' }

  t.test('a page for browsers', async (t) => {
    const app = await listen(t)
    const { status, headers, body } = await ask(app, '/download?a=b', { headers: { ...browser, host: 'my-machine:81' } })
    t.equal(status, 404)
    t.equal(headers.vary, 'accept')
    t.equal(headers['content-type'], 'text/html; charset=utf-8')
    t.equal(headers['cache-control'], 'no-store')
    t.match(headers['content-security-policy'], /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; img-src data:; /)
    const page = body.toString()
    t.match(page, '<h1>This is a proxy, and you asked it directly</h1>')
    t.match(page, 'Nothing is broken')
    t.match(page, `<a href="http://${HOST}/download">`)
    t.match(page, 'http://my-machine:81/proxy.pac')
  })

  t.test('a text for programs', async (t) => {
    const app = await listen(t)
    for (const path of ['/download', '/download/', '/download/pem']) {
      const { status, headers, body } = await ask(app, path)
      t.equal(status, 404)
      t.equal(headers['content-type'], 'text/plain; charset=utf-8')
      t.match(body.toString(), `curl -x http://127.0.0.1:${portOf(app)} -o fastify-prox-ca.pem http://${HOST}/download/pem\n`)
    }
    t.equal((await ask(app, '/download', { method: 'HEAD' })).headers['content-type'], 'text/plain; charset=utf-8')
  })

  t.test('the PAC file, with the address that was asked', async (t) => {
    const app = await listen(t)
    for (const [host, proxy] of [
      ['my-machine:81', 'PROXY my-machine:81'],
      ['my-machine', 'PROXY my-machine:80'],
      ['[::1]:81', 'PROXY [::1]:81'],
      ['"; return "DIRECT', `PROXY 127.0.0.1:${portOf(app)}`]
    ] as const) {
      t.equal(await autoConfigurationOf(t, ask(app, '/proxy.pac?', { headers: { host } })), proxy, host)
    }
  })

  t.test('the PAC file of a proxy that speaks TLS', async (t) => {
    const { ca } = await makeAuthority()
    const app = Fastify({
      https: { SNICallback: (name, done) => { ca.secureContext(name).then((context) => done(null, context), done) } }
    }) as unknown as FastifyInstance
    await serve(t, directNotice({ host: HOST }), app)
    const request = https.request({ host: '127.0.0.1', port: portOf(app), path: '/proxy.pac', servername: 'proxy.example', headers: { host: 'proxy.example' }, ca: ca.certificatePem, agent: false })
    t.equal(await autoConfigurationOf(t, answerOf(request)), 'HTTPS proxy.example:443')
  })

  t.test('a unix socket', async (t) => {
    const socketPath = await temporarySocket(t)
    await serve(t, directNotice({ host: HOST }), Fastify(), { path: socketPath })
    const get = (path: string): Promise<Answer> => answerOf(http.request({ socketPath, path, headers: { host: ' ' }, agent: false }))
    t.equal((await get('/proxy.pac')).status, 501)
    t.match((await get('/download')).body.toString(), 'curl -x http://PROXY:8080 ')
  })

  t.test('whatever the application answers comes first', async (t) => {
    const routed = await listen(t, (app) => {
      app.get('/download', () => 'mine')
      app.get('/:any', () => 'wild')
    })
    t.equal((await ask(routed, '/download', { headers: browser })).body.toString(), 'mine')
    t.equal((await ask(routed, '/proxy.pac')).body.toString(), 'wild')

    const handled = await listen(t, (app) => { app.setNotFoundHandler(() => 'a single page') })
    for (const path of ['/download', '/proxy.pac']) {
      t.equal((await ask(handled, path, { headers: browser })).body.toString(), 'a single page', path)
    }
  })

  t.test('the rest stays as it was', async (t) => {
    const app = await listen(t)
    for (const [method, path] of [['POST', '/download'], ['GET', '/downloads'], ['GET', '/proxy.pac/x'], ['GET', '/']] as const) {
      const { status, body } = await ask(app, path, { method })
      t.equal(status, 404)
      t.equal(JSON.parse(body.toString()).message, `Route ${method}:${path} not found`)
    }
  })

  t.test('as the plugin has it: a proxied request gets what it asks for', async (t) => {
    const app = Fastify()
    app.register(fastifyProx, { resolver: '/', ca: { store: new Map() } })
    await app.listen({ port: 0, host: '127.0.0.1' })
    t.teardown(() => app.close())
    t.match((await ask(app, '/download/pem')).body.toString(), 'you asked it directly')
    t.match((await ask(app, `http://${HOST}/download/pem`)).body.toString(), 'BEGIN CERTIFICATE')
    t.match((await ask(app, `http://${HOST}/download/nothing`)).body.toString(), 'Route GET:/download/nothing not found')
  })
})
