/** A CA is changed for another one while processes use it. */
import { X509Certificate } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { readBlocks } from '../../plugin/ca/bundle'
import { refreshPeriodically } from '../../plugin/ca/refresh'
import { STORE_KEY } from '../../plugin/ca/storage'
import type { CertificateAuthorityChanged, RotationStep } from '../../types/ca'
import { pairOf, startChanging } from './changing'
import { handshake, serve } from './loopback'

const HOST = 'www.example.com'

function issuerOf (pem: string): string {
  return new X509Certificate(pem).issuer
}

t.test('announced, switched to, dropped: what signs and what clients should trust', async (t) => {
  const { ca, step, warnings } = await startChanging({ name: 'Example' })
  const { certificatePem: old, fingerprint256: oldFingerprint } = ca
  t.strictSame(ca.certificates.map(({ pem }) => pem), [old])
  t.equal(ca.trustedPem, old)
  const messages: CertificateAuthorityChanged[] = []
  const onChange = (message: unknown): void => { messages.push(message as CertificateAuthorityChanged) }
  subscribe('fastify-prox:ca:changed', onChange)
  t.teardown(() => unsubscribe('fastify-prox:ca:changed', onChange))

  const leaf = await ca.leaf(HOST)
  const oldPkcs12 = ca.pkcs12()
  await step('announce')
  const [, next] = ca.certificates
  t.match(next!.name, /^Example \d{4}-\d\d-\d\d \d\d:\d\d$/)
  t.equal(ca.certificatePem, old, 'the old one signs')
  t.equal(ca.trustedPem, old + next!.pem)
  t.ok(ca.pkcs12().includes(next!.der) && ca.pkcs12().includes(ca.certificateDer))
  t.not(ca.pkcs12().length, oldPkcs12.length)
  t.equal(issuerOf(await ca.certificate(HOST)), issuerOf(leaf.pem))

  await step('switch')
  t.equal(ca.certificatePem, next!.pem)
  t.equal(ca.name, next!.name)
  t.strictSame(ca.notAfter, next!.notAfter)
  t.equal(ca.trustedPem, next!.pem + old, 'the old one is still to be trusted, while others still sign with it')
  const pem = await ca.certificate(HOST)
  t.ok(new X509Certificate(pem).checkIssued(new X509Certificate(next!.pem)))
  t.ok(new X509Certificate((await ca.issue(HOST)).cert).checkIssued(new X509Certificate(next!.pem)))

  await step('drop')
  t.equal(ca.trustedPem, next!.pem)
  const all = messages.map(({ fingerprint256, others }) => [{ fingerprint256 }, ...others])
  t.strictSame(all.map((each) => each.map(({ fingerprint256 }) => fingerprint256)), [
    [oldFingerprint, next!.fingerprint256], [next!.fingerprint256, oldFingerprint], [next!.fingerprint256]
  ])
  t.strictSame(warnings.map(({ code }) => code), ['FST_PROX_CA_CHANGED', 'FST_PROX_CA_CHANGED', 'FST_PROX_CA_CHANGED'])
  t.match(warnings[0]!.message, /^The certificate authority "Example" \(.*\) signs now; clients should trust "Ex/)
})

t.test('a switch is taken back by another one', async (t) => {
  const { ca, step } = await startChanging()
  const { fingerprint256 } = ca
  await step('announce')
  await step('switch')
  t.not(ca.fingerprint256, fingerprint256)
  await step('switch')
  t.equal(ca.fingerprint256, fingerprint256)
})

t.test('TLS: clients of the old one until the switch, of both after the announcement; tickets follow', async (t) => {
  const { ca, store, step } = await startChanging()
  const other = await CertificateAuthority.load({ store }, () => {})
  const port = await serve(t, async () => await ca.secureContext(HOST))
  const client = { servername: HOST, ca: ca.certificatePem }
  const { session } = await handshake(port, client)
  await step('announce')
  t.ok((await handshake(port, { ...client, session })).resumed, 'the keys of tickets stay')
  await other.refresh()
  const informed = { servername: HOST, ca: other.trustedPem }
  await step('switch')
  const full = await handshake(port, { ...informed, session })
  t.notOk(full.resumed, 'the ticket is of the CA before')
  t.equal(issuerOf(full.certificate), new X509Certificate(ca.certificatePem).subject)
  t.ok((await handshake(port, { ...informed, session: full.session })).resumed)
  await t.rejects(handshake(port, client), { code: /SELF_SIGNED|UNABLE_TO|SIGNATURE/ })
  await other.refresh()
  const elsewhere = await serve(t, async () => await other.secureContext(HOST))
  t.ok((await handshake(elsewhere, { ...informed, session: full.session })).resumed, 'by another process')
  await step('drop')
  t.ok((await handshake(port, { servername: HOST, ca: ca.trustedPem })).certificate)
})

t.test('steps that cannot be taken', async (t) => {
  const rotate = async (options: object, step: RotationStep): Promise<unknown> => {
    return await CertificateAuthority.rotate(options, step)
  }
  const code = 'FST_PROX_CA_NOT_ROTATED'
  await t.rejects(rotate({ store: new Map() }, 'announce'), {
    code, message: /in the store cannot be rotated: there is none$/
  })
  const { store } = await startChanging()
  await t.rejects(rotate({ store }, 'switch'), { code, message: /there is no second one/ })
  await t.rejects(rotate({ store }, 'drop'), { code, message: /there is no second one/ })
  await rotate({ store }, 'announce')
  await t.rejects(rotate({ store }, 'announce'), { code, message: /there is a second one already/ })
  const get = (): string => store.get(STORE_KEY)!
  await t.rejects(rotate({ store: { get, add: () => {} } }, 'drop'), {
    code: 'FST_PROX_CA_NOT_WRITABLE', message: /the store has no method set\(key, pem\)/
  })
  const unreachable = { get: () => { throw new Error('no connection') }, set: () => {} }
  await t.rejects(rotate({ store: unreachable }, 'drop'), { code: 'FST_PROX_CA_UNREADABLE', message: /no connection/ })
  const { key, cert } = pairOf(get())
  await t.rejects(rotate({ key, cert }, 'drop'), { code: 'FST_PROX_INVALID_OPTION' })
})

t.test('a file is rotated in one step, for its owner alone', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  const ca = await CertificateAuthority.load({ file })
  await CertificateAuthority.rotate({ file }, 'announce')
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.equal(readBlocks(readFileSync(file, 'utf8')).keys.length, 2)
  await ca.refresh()
  t.equal(ca.certificates.length, 2)
  t.equal((await CertificateAuthority.load({ file })).certificates.length, 2, 'after a restart')
  t.notMatch(inspect(ca, { depth: 9, showHidden: true, getters: true }), /PRIVATE KEY/)
})

t.test('it is looked for periodically, until the authority is closed', async (t) => {
  // The process does not stay for an authority.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const { ca, store } = await startChanging({ refresh: 10 })
  const { fingerprint256 } = ca
  const changes = new Promise((resolve) => {
    subscribe('fastify-prox:ca:changed', function once (message) {
      unsubscribe('fastify-prox:ca:changed', once)
      resolve((message as CertificateAuthorityChanged).others.length)
    })
  })
  await CertificateAuthority.rotate({ store }, 'announce')
  t.equal(await changes, 1)
  ca.close()
  let asked = 0
  t.intercept(store, 'get', { value: () => { asked++ } })
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(asked, 0)
  t.equal(ca.fingerprint256, fingerprint256)
  const never = await startChanging({ refresh: 0 })
  never.ca.close()
})

t.test('an authority that nobody has any more is not looked for', async (t) => {
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const seen = { gone: false }
  const registry = new FinalizationRegistry(() => { seen.gone = true })
  const forget = (): void => {
    const refreshed = { refresh: async () => {} }
    registry.register(refreshed, null)
    refreshPeriodically(refreshed, 5)
  }
  forget()
  while (!seen.gone) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    collect()
  }
  // Its timer comes once more, and ends itself.
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.ok(seen.gone)
})

t.test('what the store has lost, or has broken, changes nothing, and is told once', async (t) => {
  const { ca, store, warnings } = await startChanging()
  const { fingerprint256 } = ca
  const pem = store.get(STORE_KEY)!
  const broken: Array<[string | undefined, RegExp]> = [
    [undefined, /it is no longer there$/],
    ['nothing', /it holds no private key/],
    [pem.replace(/-----BEGIN CERT[^]*$/, ''), /it holds no certificate/]
  ]
  for (const [kept, message] of broken) {
    warnings.length = 0
    if (kept === undefined) store.delete(STORE_KEY)
    else store.set(STORE_KEY, kept)
    await ca.refresh()
    await ca.refresh()
    t.equal(warnings.length, 1)
    t.match(warnings[0], { code: 'FST_PROX_CA_UNREADABLE', message })
    t.match(warnings[0]!.message, /stays as it was loaded/)
    t.ok(await ca.certificate(HOST))
  }
  store.set(STORE_KEY, pem)
  await ca.refresh()
  store.delete(STORE_KEY)
  await ca.refresh()
  t.equal(warnings.length, 2, 'and again when it had been mended')
  t.equal(ca.fingerprint256, fingerprint256)
  const { key, cert } = pairOf(pem)
  const own = await CertificateAuthority.load({ key, cert })
  await own.refresh()
  t.equal(own.fingerprint256, fingerprint256, 'a CA that was handed in has nowhere to be looked for')
})
