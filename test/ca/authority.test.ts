/** The authority mints once for all who ask, keeps and renews what it minted, and shows nothing of its key. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { connect, createServer } from 'node:tls'
import { inspect } from 'node:util'
import { serialize } from 'node:v8'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type {
  CertificateAuthorityExpiring, CertificateAuthorityWarning, CertificateMinted, CertificateReused
} from '../../types/ca'
import { rdn, selfSigned } from './bundles'
import { handshake, serve } from './loopback'

const DAY = 86_400_000

function memory (options = {}): Promise<CertificateAuthority> {
  return CertificateAuthority.load({ store: new Map(), ...options })
}

/** Everything that a channel publishes during a test. */
function listen<T> (t: Test, channel: string): T[] {
  const messages: T[] = []
  const listener = (message: unknown) => { messages.push(message as T) }
  subscribe(channel, listener)
  t.teardown(() => unsubscribe(channel, listener))
  return messages
}

t.test('all who ask for a host at the same time share one mint', async (t) => {
  const minted = listen<CertificateMinted>(t, 'fastify-prox:certificate:minted')
  const reused = listen<CertificateReused>(t, 'fastify-prox:certificate:reused')
  const authority = await memory()
  t.equal(authority.leaf('www.example.com'), authority.leaf('www.example.com'), 'one promise')
  const leaves = await Promise.all([
    'www.example.com', 'WWW.EXAMPLE.COM.', 'example.com', 'api.example.com', 'www.example.com'
  ].map((host) => authority.leaf(host)))
  t.equal(new Set(leaves).size, 1)
  const [leaf] = leaves
  t.equal(authority.leaf('api.example.com'), leaf, 'from then on it is there at once')
  t.equal(await authority.leaf('m.example.com'), leaf, 'for another host that it covers, too')
  t.equal(await authority.secureContext('www.example.com'), leaf!.secureContext)
  t.equal(await authority.certificate('www.example.com'), leaf!.pem)
  const hosts = ['api.example.com', 'm.example.com', 'www.example.com', 'www.example.com']
  t.strictSame(reused, hosts.map((host) => ({ names: ['example.com', '*.example.com'], host })))
  t.equal(minted.length, 1)
  t.match(minted[0], { names: ['example.com', '*.example.com'], host: 'www.example.com', notAfter: leaf!.notAfter })
  t.equal(minted[0]!.serialNumber, new X509Certificate(leaf!.pem).serialNumber)
  t.type(minted[0]!.durationMs, 'number')
  t.not(await authority.leaf('www.example.org'), leaf)
})

t.test('without wildcards every host has a leaf of its own', async (t) => {
  const authority = await memory({ wildcards: false })
  const [www, api] = await Promise.all([authority.leaf('www.example.com'), authority.leaf('api.example.com')])
  t.same(www.names, ['www.example.com'])
  t.same(api.names, ['api.example.com'])
})

t.test('a host that a kept leaf covers is answered at once, while new ones wait', async (t) => {
  const authority = await memory()
  const leaf = await authority.leaf('www.example.com')
  const waiting = authority.leaf('www.example.org')
  t.type(waiting, Promise)
  t.equal(authority.leaf('api.example.com'), leaf, 'although it was never asked for')
  await waiting
})

t.test('a host that was served before goes before new ones', async (t) => {
  let now = Date.now()
  t.intercept(Date, 'now', { value: () => now })
  const authority = await memory()
  const { pem } = await authority.leaf('known.test')
  now += 12 * 3_600_000
  const order: string[] = []
  const ask = async (host: string) => { order.push((await authority.leaf(host)).names.join()) }
  await Promise.all(['a.test', 'b.test', 'known.test'].map(ask))
  t.same(order, ['known.test,*.known.test', 'a.test,*.a.test', 'b.test,*.b.test'])
  t.equal((await authority.leaf('known.test')).pem, pem, 'its ticket keys alone were replaced')
})

t.test('nothing is minted for those who are gone', async (t) => {
  const minted = listen<CertificateMinted>(t, 'fastify-prox:certificate:minted')
  const authority = await memory()
  const gone = () => false
  const alone = authority.leaf('alone.test', gone)
  const shared = authority.leaf('shared.test', gone)
  t.equal(authority.leaf('shared.test', () => true), shared)
  await t.rejects(async () => await alone, {
    code: 'FST_PROX_LEAF_UNWANTED', statusCode: 499, message: 'Nobody waits for a certificate for alone.test any more'
  })
  t.same((await shared).names, ['shared.test', '*.shared.test'], 'one of two is there')
  t.same(minted.map(({ host }) => host), ['shared.test'])
  t.same((await authority.leaf('alone.test')).names, ['alone.test', '*.alone.test'], 'it can be asked for again')
})

t.test('when too many hosts wait, further ones are refused and those that wait are served', async (t) => {
  const authority = await memory({ cacheSize: 1 })
  const gone = () => false
  const flood = Array.from({ length: 4096 }, (_, i) => authority.leaf(`flood-${i}.test`, gone) as Promise<unknown>)
  const refused = authority.leaf('late.test')
  t.type(refused, Promise, 'it does not throw')
  await t.rejects(async () => await refused, { code: 'FST_PROX_CA_BUSY', statusCode: 503 })
  const outcomes = await Promise.allSettled(flood)
  t.ok(outcomes.every(({ status, reason }: { status: string, reason?: { code: string } }) =>
    status === 'rejected' && reason?.code === 'FST_PROX_LEAF_UNWANTED'))
  t.same((await authority.leaf('late.test')).names, ['late.test', '*.late.test'])
})

t.test('a leaf knows what it covers', async (t) => {
  const authority = await memory()
  const leaf = await authority.leaf('www.example.com')
  for (const host of ['www.example.com', 'EXAMPLE.com.', 'a_b.example.com']) t.ok(leaf.covers(host), host)
  for (const host of ['a.b.example.com', 'example.org', '192.0.2.1', 'not a host', '']) t.notOk(leaf.covers(host), host)
  t.ok((await authority.leaf('::1')).covers('[0::1]'))
})

t.test('what is not a host never reaches the minting', async (t) => {
  const minted = listen(t, 'fastify-prox:certificate:minted')
  const authority = await memory()
  await t.rejects(async () => await authority.leaf('a b'), { code: 'FST_PROX_INVALID_HOST' })
  await t.rejects(authority.secureContext('*.example.com'), { code: 'FST_PROX_INVALID_HOST' })
  await t.rejects(authority.certificate('example.com:443'), { code: 'FST_PROX_INVALID_HOST' })
  await t.rejects(authority.issue(''), { code: 'FST_PROX_INVALID_HOST' })
  t.same(minted, [])
})

t.test('only so many contexts are kept', async (t) => {
  const minted = listen<CertificateMinted>(t, 'fastify-prox:certificate:minted')
  const authority = await memory({ cacheSize: 2 })
  const [one] = [await authority.leaf('one.test'), await authority.leaf('two.test')]
  t.equal(authority.leaf('one.test'), one)
  await authority.leaf('three.test')
  t.equal(authority.leaf('one.test'), one, 'the one that was used last stays')
  await authority.leaf('two.test')
  t.same(minted.map(({ host }) => host), ['one.test', 'two.test', 'three.test', 'two.test'])
})

t.test('a leaf is minted again a day before it ends', async (t) => {
  let now = Date.now()
  t.intercept(Date, 'now', { value: () => now })
  const authority = await memory()
  const leaf = await authority.leaf('example.com')
  const end = leaf.notAfter.getTime()
  now = end - DAY - 1
  t.equal((await authority.leaf('example.com')).pem, leaf.pem)
  now = end - DAY
  const next = await authority.leaf('example.com')
  t.not(next.pem, leaf.pem)
  t.equal(next.notAfter.getTime() - end, 43 * DAY - 1000)
  t.equal(next.notAfter.getTime(), Date.parse(new X509Certificate(next.pem).validTo))
})

t.test('the end of the CA is told 30 days before, once, and then nothing is minted any more', async (t) => {
  const expiring = listen<CertificateAuthorityExpiring>(t, 'fastify-prox:ca:expiring')
  const minted = listen<CertificateMinted>(t, 'fastify-prox:certificate:minted')
  const pair = selfSigned({ days: 100, subject: [rdn('CN', 'Short')] })
  const end = Date.parse(new X509Certificate(pair.cert).validTo)
  let now = Date.now()
  t.intercept(Date, 'now', { value: () => now })
  const warnings: CertificateAuthorityWarning[] = []
  const authority = await CertificateAuthority.load(pair, (warning) => warnings.push(warning))
  now = end - 30 * DAY - 1
  await authority.leaf('one.test')
  t.same(warnings, [])
  now = end - 30 * DAY
  await Promise.all([authority.leaf('two.test'), authority.leaf('three.test')])
  t.same(warnings, [{
    code: 'FST_PROX_CA_EXPIRING',
    message: `The certificate authority "Short" ends on ${new Date(end).toISOString()}: ` +
      'make a new one and have clients trust it'
  }])
  t.strictSame(expiring, [{ name: 'Short', file: null, notAfter: new Date(end) }])
  minted.length = 0
  for (now of [end - DAY, end - 1]) await authority.leaf('two.test')
  t.same(minted, [], 'a leaf that ends with the CA is not minted again')
  now = end
  await t.rejects(authority.secureContext('two.test'), { code: 'FST_PROX_CA_EXPIRED' })
  await t.rejects(authority.certificate('new.test'), { code: 'FST_PROX_CA_EXPIRED', message: /Short is valid from/ })
  await t.rejects(authority.issue('new.test'), { code: 'FST_PROX_CA_EXPIRED' })
  now = end - 1
  await authority.leaf('new.test')
  t.equal(warnings.length, 1)
  t.pass('a mint that failed is not kept')
})

t.test('the end of a CA that is near is told when it is loaded', async (t) => {
  const pair = selfSigned({ days: 20 })
  const warnings: CertificateAuthorityWarning[] = []
  await CertificateAuthority.load(pair, (warning) => warnings.push(warning))
  t.match(warnings, [{ code: 'FST_PROX_CA_EXPIRING' }])
})

t.test('a CA that is held to some names signs for those only', async (t) => {
  const authority = await memory({ permit: ['app.example.com', 'test', '10.0.0.0/8'] })
  t.same((await authority.leaf('app.example.com')).names, ['app.example.com'], 'without its parent')
  t.same((await authority.leaf('a.app.example.com')).names, ['app.example.com', '*.app.example.com'])
  t.same((await authority.leaf('www.a.test')).names, ['a.test', '*.a.test'])
  t.same((await authority.leaf('10.1.2.3')).names, ['10.1.2.3'])
  await t.rejects(authority.secureContext('www.example.com'), {
    code: 'FST_PROX_HOST_NOT_PERMITTED',
    message: /"fastify-prox https proxy CA" do not permit a certificate for www\.example\.com/
  })
  await t.rejects(authority.secureContext('192.0.2.1'), { code: 'FST_PROX_HOST_NOT_PERMITTED' })
  await t.rejects(authority.secureContext('::1'), { code: 'FST_PROX_HOST_NOT_PERMITTED' })
  const port = await serve(t, async () => await authority.secureContext('a.app.example.com'))
  t.equal(
    (await handshake(port, { ca: authority.certificatePem, servername: 'a.app.example.com' })).certificate,
    await authority.certificate('a.app.example.com')
  )
})

t.test('the option tls goes into every context', async (t) => {
  const authority = await memory({ tls: { minVersion: 'TLSv1.3' } })
  const port = await serve(t, async () => await authority.secureContext('example.com'))
  const client = { ca: authority.certificatePem, servername: 'example.com' }
  t.equal((await handshake(port, client)).protocol, 'TLSv1.3')
  const old = connect({ ...client, port, host: '127.0.0.1', maxVersion: 'TLSv1.2' })
  const [error] = await once(old, 'error')
  t.match(error, { message: /protocol version/ })
})

t.test('a certificate for a server of its own has a key of its own', async (t) => {
  const authority = await memory()
  const { key, cert } = await authority.issue('WWW.example.com')
  const issued = new X509Certificate(cert)
  t.ok(issued.checkPrivateKey(createPrivateKey(key)))
  t.ok(issued.verify(new X509Certificate(authority.certificatePem).publicKey))
  t.equal(issued.subjectAltName, 'DNS:example.com, DNS:*.example.com')
  t.not((await authority.issue('www.example.com')).key, key)
  const leaf = new X509Certificate(await authority.certificate('www.example.com'))
  t.notOk(leaf.publicKey.equals(issued.publicKey), 'the key of the process stays within')
})

const failed = async (leaf: unknown) => await Promise.resolve(leaf).catch((err: unknown) => err)

t.test('nothing that an authority gives away has its private key in it', async (t) => {
  for (const keyType of ['ec', 'rsa'] as const) {
    const store = new Map<string, string>()
    const authority = await CertificateAuthority.load({ store, keyType })
    const key = createPrivateKey(store.get('fastify-prox-ca')!)
    const { d = '', p = d } = key.export({ format: 'jwk' })
    const secrets = [d, p].map((number) => Buffer.from(number, 'base64url'))
    const outputs = [
      authority.certificatePem,
      authority.certificateDer,
      authority.pkcs12(),
      await authority.certificate('example.com'),
      (await authority.issue('example.com')).cert,
      inspect(authority, { showHidden: true, depth: null, getters: true, maxStringLength: null, maxArrayLength: null }),
      inspect(await authority.leaf('example.com'), { showHidden: true, depth: null, getters: true }),
      JSON.stringify(authority),
      JSON.stringify({ ...authority }),
      JSON.stringify(Object.getOwnPropertyDescriptors(authority)),
      serialize({ ...authority }),
      inspect(await failed(authority.leaf('a b')), { showHidden: true, depth: null }),
      inspect(await failed(authority.leaf('gone.test', () => false)), { showHidden: true, depth: null })
    ].map(Buffer.from)
    // As an HTTP server takes it.
    createServer(await authority.issue('localhost'))
    for (const output of outputs) {
      t.notMatch(output.toString('latin1'), 'PRIVATE')
      for (const secret of secrets) {
        t.equal(output.indexOf(secret), -1)
        for (const encoding of ['base64', 'base64url', 'hex'] as const) {
          t.equal(output.indexOf(secret.toString(encoding)), -1)
        }
        t.equal(output.indexOf(JSON.stringify([...secret]).slice(1, -1)), -1)
      }
    }
    t.notOk(Reflect.ownKeys(authority).some((name) => /key|bundle/i.test(String(name))))
  }
})
