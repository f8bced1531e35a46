/** PKCS #12: every importer takes it, and there is no key in it. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asn1, pkcs12, pki } from 'node-forge'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { have } from './clients'

t.test('for node-forge: one certificate and no key', async (t) => {
  for (const keyType of ['ec', 'rsa'] as const) {
    const authority = await CertificateAuthority.load({ store: new Map(), keyType, name: 'An example' })
    // Checks the MAC with the password.
    const { safeContents } = pkcs12.pkcs12FromAsn1(asn1.fromDer(authority.pkcs12().toString('latin1')), '')
    const bags = safeContents.flatMap(({ safeBags }) => safeBags)
    t.same(bags.map(({ type }) => type), [pki.oids.certBag])
    const { friendlyName } = bags[0]!.attributes as { friendlyName: string[] }
    t.same(friendlyName, ['An example'])
    t.ok(authority.pkcs12().includes(authority.certificateDer))
    t.equal(authority.pkcs12(), authority.pkcs12(), 'made once')
  }
})

t.test('for OpenSSL', { skip: have('openssl') }, async (t) => {
  const file = join(t.testdir(), 'ca.p12')
  const authority = await CertificateAuthority.load({ store: new Map() })
  writeFileSync(file, authority.pkcs12())
  const text = execFileSync(
    'openssl', ['pkcs12', '-in', file, '-passin', 'pass:', '-info'], { encoding: 'utf8', stdio: 'pipe' }
  )
  t.match(text, authority.certificatePem, 'the MAC is good and the certificate is there')
  t.notMatch(text, 'PRIVATE KEY')
})

t.test('it is the same for every process', async (t) => {
  const store = new Map<string, string>()
  const [one, two] = [await CertificateAuthority.load({ store }), await CertificateAuthority.load({ store })]
  t.same(one.pkcs12(), two.pkcs12())
})

t.test('for NSS', { skip: have('pk12util certutil') }, async (t) => {
  const directory = t.testdir()
  const authority = await CertificateAuthority.load({ store: new Map(), name: 'Example' })
  writeFileSync(join(directory, 'ca.p12'), authority.pkcs12())
  mkdirSync(join(directory, 'db'))
  const db = `sql:${join(directory, 'db')}`
  execFileSync('certutil', ['-N', '-d', db, '--empty-password'])
  execFileSync('pk12util', ['-i', join(directory, 'ca.p12'), '-d', db, '-W', ''], { stdio: 'pipe' })
  t.equal(
    execFileSync('certutil', ['-L', '-d', db, '-n', 'Example', '-a'], { encoding: 'utf8' }).replaceAll('\r', ''),
    authority.certificatePem
  )
})

t.test('for GnuTLS', { skip: have('certtool') }, async (t) => {
  const file = join(t.testdir(), 'ca.p12')
  const authority = await CertificateAuthority.load({ store: new Map() })
  writeFileSync(file, authority.pkcs12())
  const text = execFileSync(
    'certtool', ['--p12-info', '--inder', '--infile', file, '--password', ''], { encoding: 'utf8', stdio: 'pipe' }
  )
  t.match(text, authority.certificatePem)
})

t.test('for Java and NSS while there are two', { skip: have('keytool pk12util certutil') }, async (t) => {
  const file = join(t.testdir({ db: {} }), 'ca.p12')
  const store = new Map<string, string>()
  await CertificateAuthority.load({ store, name: 'Example' })
  const [first, second] = await CertificateAuthority.rotate({ store, name: 'Another' }, 'announce')
  writeFileSync(file, (await CertificateAuthority.load({ store })).pkcs12())
  const list = execFileSync('keytool', ['-list', '-keystore', file], { encoding: 'utf8', input: '\n', stdio: 'pipe' })
  t.match(list, first!.fingerprint256)
  t.match(list, second!.fingerprint256)
  const db = `sql:${join(file, '..', 'db')}`
  execFileSync('certutil', ['-N', '-d', db, '--empty-password'])
  execFileSync('pk12util', ['-i', file, '-d', db, '-W', ''], { stdio: 'pipe' })
  const names = execFileSync('certutil', ['-L', '-d', db], { encoding: 'utf8' })
  t.match(names, 'Example')
  t.match(names, 'Another')
})

t.test('for Java', { skip: have('keytool') }, async (t) => {
  const file = join(t.testdir(), 'ca.p12')
  const authority = await CertificateAuthority.load({ store: new Map() })
  writeFileSync(file, authority.pkcs12())
  // Without a password the certificate is there all the same: that is how Java opens `javax.net.ssl.trustStore`.
  const list = execFileSync('keytool', ['-list', '-keystore', file], { encoding: 'utf8', input: '\n', stdio: 'pipe' })
  t.match(list, 'trustedCertEntry')
  t.match(list, authority.fingerprint256)
})
