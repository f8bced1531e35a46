/** What a CA that is rotated looks like, and where it comes from: its kind, its chain, its files. */
import { X509Certificate } from 'node:crypto'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { readBlocks } from '../../plugin/ca/bundle'
import { STORE_KEY } from '../../plugin/ca/storage'
import type { CertificateAuthorityOptions, CertificateAuthorityWarning } from '../../types/ca'
import { authorityExtensions, ec, mkcertBundle, rdn, selfSigned, signed } from './bundles'
import { pairOf, startChanging } from './changing'

const HOST = 'www.example.com'

t.test('the new one is as the one before, or as it is told', async (t) => {
  const { store, ca } = await startChanging({ name: 'x'.repeat(64), keyType: 'rsa', permit: ['.test'] })
  await CertificateAuthority.rotate({ store }, 'announce')
  await ca.refresh()
  const [, { der, name }] = ca.certificates as [unknown, { der: Buffer, name: string }]
  t.equal(name.length, 64)
  t.equal(new X509Certificate(der).publicKey.asymmetricKeyType, 'rsa')
  await CertificateAuthority.rotate({ store }, 'switch')
  await ca.refresh()
  await t.rejects(ca.certificate('example.com'), { code: 'FST_PROX_HOST_NOT_PERMITTED' })
  await CertificateAuthority.rotate({ store }, 'drop')
  const told: CertificateAuthorityOptions = { name: 'Told', keyType: 'ec', permit: ['example.com'] }
  const [, next] = await CertificateAuthority.rotate({ store, ...told }, 'announce')
  t.equal(next!.name, 'Told')
  t.equal(new X509Certificate(next!.der).publicKey.asymmetricKeyType, 'ec')
  await CertificateAuthority.rotate({ store }, 'switch')
  await ca.refresh()
  t.ok(await ca.certificate('example.com'))
})

t.test('the two files of mkcert become one', async (t) => {
  const { file } = mkcertBundle(t.testdir())
  const warnings: CertificateAuthorityWarning[] = []
  const ca = await CertificateAuthority.load({ file }, (warning) => warnings.push(warning))
  await CertificateAuthority.rotate({ file }, 'announce')
  await ca.refresh()
  t.equal(ca.certificates.length, 2)
  t.equal((statSync(file).mode & 0o777).toString(8), '600', 'it holds the key now')
  await CertificateAuthority.rotate({ file }, 'switch')
  await CertificateAuthority.rotate({ file }, 'drop')
  await ca.refresh()
  t.equal((await CertificateAuthority.load({ file })).fingerprint256, ca.fingerprint256)
  t.strictSame(warnings.map(({ code }) => code), ['FST_PROX_CA_CHANGED', 'FST_PROX_CA_CHANGED'])
})

t.test('a second authority of no use is left out with a warning, one without a certificate in silence', async (t) => {
  const load = async (pem: string): Promise<[CertificateAuthority, CertificateAuthorityWarning[]]> => {
    const warnings: CertificateAuthorityWarning[] = []
    const file = join(t.testdirName, 'ca.pem')
    writeFileSync(file, pem, { mode: 0o600 })
    t.teardown(() => rmSync(file, { force: true }))
    return [await CertificateAuthority.load({ file }, (warning) => warnings.push(warning)), warnings]
  }
  t.testdir()
  const { store } = await startChanging()
  const pem = store.get(STORE_KEY)!
  const ended = selfSigned({ days: -1 })
  const [ca, warnings] = await load(pem + ended.key + ended.cert)
  t.equal(ca.certificates.length, 1)
  t.match(warnings, [{ code: 'FST_PROX_CA_LEFT_OUT', message: /valid from .* only/ }])
  const { key } = pairOf((await startChanging()).store.get(STORE_KEY)!)
  for (const further of [key, key.replace(/M\w{9}/, 'AAAAAAAAAA')]) {
    const [another, none] = await load(`${pem}\n${further}\n`)
    t.equal(another.certificates.length, 1)
    t.strictSame(none, [])
  }
  await t.rejects(load(`${key}\n${pem}`), { code: 'FST_PROX_CA_MISMATCH' }, 'the first key is the one that signs')
})

t.test('an intermediate keeps its chain', async (t) => {
  const [rootKey, subject] = [ec(), [rdn('CN', 'root')]]
  const root = selfSigned({ key: rootKey, subject })
  const issuer = { key: rootKey, subject }
  const { key, cert } = signed({ subject: [rdn('CN', 'intermediate')], extensions: authorityExtensions }, issuer)
  const store = new Map([[STORE_KEY, key + cert + root.cert]])
  const ca = await CertificateAuthority.load({ store }, () => {})
  const before = readBlocks(await ca.certificate(HOST)).certificates.length
  await CertificateAuthority.rotate({ store }, 'announce')
  await ca.refresh()
  t.equal(readBlocks(await ca.certificate(HOST)).certificates.length, before)
  t.equal(before, 2)
  await CertificateAuthority.rotate({ store }, 'switch')
  await CertificateAuthority.rotate({ store }, 'switch')
  await ca.refresh()
  t.equal(readBlocks(await ca.certificate(HOST)).certificates.length, before)
})
