/** The download app: what it answers, and that no private key is in it. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import http2 from 'node:http2'
import https from 'node:https'
import Fastify from 'fastify'
import forge from 'node-forge'
import t from 'tap'
import { downloadApp } from '../../plugin/download/app'
import type { PublicCertificate } from '../../plugin/download/certificate'
import fastifyProx from '../../plugin/index'
import type { CertificateAuthority } from '../../plugin/index'
import { answerOf, ask, HOST, makeAuthority, portOf, ROUTES, serve, sha256Of, tunnel } from './support'

t.test('every form of the certificate holds it and nothing else', async (t) => {
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

t.test('all responses share their fields, and answer HEAD', async (t) => {
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

t.test('the rest of the application sees nothing of the download app', async (t) => {
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
  const numbers = ['d', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => jwk[name])
  return numbers.flatMap((value) => typeof value === 'string' ? [Buffer.from(value, 'base64url')] : [])
}

/** Whether bytes hold a secret, or say that they hold a private key: as they are or in base64, base64url or hex. */
function holdsSecret (bytes: Buffer, secrets: Buffer[]): boolean {
  const found = (haystack: Buffer): boolean => {
    return haystack.includes('PRIVATE KEY') || secrets.some((secret) => haystack.includes(secret))
  }
  const text = bytes.toString('latin1')
  const decoded = [...text.matchAll(/[\w+/\s-]{20,}/g)].flatMap(([run]) => {
    const digits = run.replaceAll(/\s/g, '')
    const starts = [0, 1, 2, 3].map((start) => digits.slice(start))
    return starts.flatMap((text) => [Buffer.from(text, 'base64'), Buffer.from(text, 'hex')])
  })
  return [bytes, ...decoded].some(found)
}

t.test('no response holds a private key', async (t) => {
  for (const keyType of ['ec', 'rsa'] as const) {
    const { ca, key } = await makeAuthority(keyType)
    const secrets = secretsOf(key)
    t.equal(secrets.length, keyType === 'ec' ? 1 : 6)
    const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
    const leaks = [
      key,
      der,
      der.toString('base64'),
      `x${der.toString('base64url')}`,
      der.toString('hex'),
      secrets[0]?.toString('base64')
    ]
    for (const leak of leaks) t.ok(holdsSecret(Buffer.from(leak as string), secrets), 'the search finds one')

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

const ESCAPED = 'a&quot;&gt;&lt;script&gt;x&lt;/script&gt;\ufffd\ufffd\ufffd&amp;amp; ' +
  '&#39;&lt;/string&gt;\n&lt;/title&gt;'

/** What the page tells how to install the certificate in. */
const SYSTEMS = [
  'macOS', 'Windows', 'Linux', 'iPhone and iPad', 'Android', 'Firefox', 'Chromium and Chrome', 'curl', 'Node.js',
  'Python', 'Java', 'Go', 'git'
]

t.test('the page shows the CA, and how it is installed', async (t) => {
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
  for (const name of SYSTEMS) t.match(page, `<summary>${name}</summary>`)
  const text = page.replaceAll(/<\/?i>/g, '')
  const proxy = `http://127.0.0.1:${portOf(app)}`
  t.match(text, `NODE_EXTRA_CA_CERTS=fastify-prox-ca.pem NODE_USE_ENV_PROXY=1 HTTPS_PROXY=${proxy} node app.js`)
  t.match(text, `delete-certificate -t -Z ${sha256Of(ca).toUpperCase()} `)
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
  const links = [...page.matchAll(/<link[^>]*>/g)].map(String)
  t.strictSame(links, ['<link rel="icon" href="data:,">', `<link rel="stylesheet" href="${probe}">`])
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

t.test('a proxy serves the downloads of its download host', async (t) => {
  const app = Fastify()
  app.register(fastifyProx, { resolver: '/prefix/', ca: { store: new Map() } })
  app.get('/prefix/*', (request) => request.url)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const ca = app.proxyCA

  for (const path of ROUTES) t.equal((await ask(app, `http://${HOST}${path}`)).status, 200, path)
  t.strictSame((await ask(app, `http://${HOST}/download/cer`)).body, ca.certificateDer)
  t.equal((await ask(app, `http://${HOST}/download/cer`, { method: 'HEAD' })).status, 200)
  const other = await ask(app, 'http://example.com/download/pem')
  t.match(other.body.toString(), '/prefix/http://example.com/download/pem')
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
    const script = (await stream.setEncoding('utf8').toArray()).join('')
    t.match(script, `export HTTPS_PROXY=http://127.0.0.1:${portOf(app)}\n`)
    session.close()
  })
})
