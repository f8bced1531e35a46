/** Keys and certificates in all their forms. */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { readPemBundle } from '../../plugin/ca/bundle'
import {
  authorityExtensions, basicConstraints, certauthBundle, ec, extKeyUsage, keyUsage, mitmproxyBundle, mkcertBundle, rdn,
  rsa, selfSigned
} from './bundles'
import { handshake, serve } from './loopback'

t.test('bundles of certauth, mitmproxy and mkcert work unchanged', async (t) => {
  for (const make of [certauthBundle, mitmproxyBundle, mkcertBundle]) {
    const { file, certificate } = make(t.testdir())
    const before = readFileSync(file)
    const warnings: unknown[] = []
    const authority = await CertificateAuthority.load({ file }, (warning) => warnings.push(warning))
    t.equal(authority.file, file)
    t.equal(authority.certificatePem, certificate)
    t.same(warnings, [], 'their permissions are as they should be')
    t.same(readFileSync(file), before, 'the file stays as it is')
  }
})

t.test('the name is the common name, or the subject', async (t) => {
  const name = async (...subject: Parameters<typeof rdn>[]) =>
    (await CertificateAuthority.load(selfSigned({ subject: subject.map((args) => rdn(...args)) }))).name
  t.equal(await name(['O', 'Example'], ['CN', 'An example, thís']), 'An example, thís')
  t.equal(await name(['O', 'Example'], ['OU', 'One']), 'O=Example, OU=One')
  t.equal(await name(['CN', 'one'], ['CN', 'two']), 'one, two')
})

t.test('key and certificate are read in every form', async (t) => {
  for (const object of [ec(), rsa(2048)]) {
    const { key, cert } = selfSigned({ key: object })
    const type = object.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1'
    const der = Buffer.from(cert.replace(/-----.*-----|\s/g, ''), 'base64')
    const keys = [
      key, Buffer.from(key), object,
      object.export({ type: 'pkcs8', format: 'der' }),
      object.export({ type, format: 'der' }),
      object.export({ type, format: 'pem' })
    ]
    for (const form of keys) t.same((await CertificateAuthority.load({ key: form, cert })).certificateDer, der)
    for (const form of [cert, Buffer.from(cert), der, `Bag Attributes\n${cert}`]) {
      const authority = await CertificateAuthority.load({ key, cert: form })
      t.same(authority.certificateDer, der)
      t.equal(authority.file, null)
    }
    t.equal(readPemBundle(cert + key, 'here').certificate.toString(), cert, 'the certificate first')
    t.equal(readPemBundle((key + cert).replaceAll('\n', '\r\n'), 'here').certificate.toString(), cert, 'with CRLF')
    const others = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n# comment\n'
    t.equal(
      readPemBundle(others + key + others + cert, 'here').certificate.toString(), cert, 'with other blocks and text'
    )
    t.equal(
      readPemBundle(selfSigned().cert + key + cert, 'here').certificate.toString(), cert,
      'the certificate that belongs to the key'
    )
  }
})

t.test('DER that is no key is refused', async (t) => {
  const { cert } = selfSigned()
  await t.rejects(
    CertificateAuthority.load({ key: Buffer.from([0x30, 0]), cert }),
    { code: 'FST_PROX_CA_CORRUPT', message: /neither PKCS #8 nor PKCS #1 nor SEC1/ }
  )
})

t.test('every kind of key that clients verify may sign', async (t) => {
  for (const key of [ec('P-384'), ec('P-521'), generateKeyPairSync('ed25519').privateKey]) {
    const authority = await CertificateAuthority.load(selfSigned({ key }))
    const port = await serve(t, async () => await authority.secureContext('example.com'))
    const { certificate } = await handshake(port, { ca: authority.certificatePem, servername: 'example.com' })
    t.equal(certificate, await authority.certificate('example.com'))
  }
})

t.test('keys that clients do not verify are refused', async (t) => {
  const kinds = [
    { key: rsa(1024), message: /is RSA of 1024 bits/ },
    { key: ec('secp256k1'), message: /is secp256k1/ },
    { key: generateKeyPairSync('ed448').privateKey, message: /is ed448/ }
  ]
  for (const { key, message } of kinds) {
    await t.rejects(CertificateAuthority.load(selfSigned({ key })), { code: 'FST_PROX_CA_UNSUPPORTED_KEY', message })
  }
})

t.test('a file that is no authority stops the start, is named, and stays as it is', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  const good = selfSigned()
  const key = createPrivateKey(good.key)
  const encryption = { format: 'pem', cipher: 'aes-128-cbc', passphrase: 'secret' } as const
  const certificate = (...extensions: ReturnType<typeof keyUsage>[]) => good.key + selfSigned(
    { key, extensions: () => extensions }
  ).cert
  const bundles: Array<[string, string, string, RegExp]> = [
    ['empty', '', 'FST_PROX_CA_CORRUPT', /it holds no private key/],
    ['of something else', 'hello\n', 'FST_PROX_CA_CORRUPT', /it holds no private key/],
    ['cut off', (good.key + good.cert).slice(0, -100), 'FST_PROX_CA_CORRUPT', /it holds no certificate/],
    ['without certificate', good.key, 'FST_PROX_CA_CORRUPT', /it holds no certificate/],
    ['without key', good.cert, 'FST_PROX_CA_CORRUPT', /it holds no private key/],
    [
      'with a broken key', good.key.replace(/\n.{8}/, '\nAAAAAAAA') + good.cert, 'FST_PROX_CA_CORRUPT',
      /the private key cannot be read/
    ],
    [
      'with a broken certificate', good.key + good.cert.replace(/\n.{8}/, '\nAAAAAAAA'), 'FST_PROX_CA_CORRUPT',
      /the certificate cannot be read/
    ],
    [
      'encrypted', key.export({ type: 'pkcs8', ...encryption }) + good.cert, 'FST_PROX_CA_CORRUPT',
      /the private key cannot be read/
    ],
    [
      'encrypted the old way', key.export({ type: 'sec1', ...encryption }) + good.cert, 'FST_PROX_CA_CORRUPT',
      /the private key cannot be read/
    ],
    ['mismatched', good.key + selfSigned().cert, 'FST_PROX_CA_MISMATCH', /do not belong together/],
    ['of a server', certificate(basicConstraints(false)), 'FST_PROX_CA_NOT_A_CA', /basic constraints or its key usage/],
    ['without extensions', certificate(), 'FST_PROX_CA_NOT_A_CA', /basic constraints/],
    [
      'with another key usage', certificate(basicConstraints(true), keyUsage(0x80, 7)), 'FST_PROX_CA_NOT_A_CA',
      /key usage/
    ],
    ['without a name', good.key + selfSigned({ key, subject: [] }).cert, 'FST_PROX_CA_NOT_A_CA', /it has no subject/],
    [
      'for mail', certificate(...authorityExtensions(key), extKeyUsage('1.3.6.1.5.5.7.3.4')), 'FST_PROX_CA_NOT_A_CA',
      /extended key usage leaves out servers/
    ]
  ]
  for (const [what, pem, code, message] of bundles) {
    writeFileSync(file, pem)
    chmodSync(file, 0o600)
    const { mtimeMs } = statSync(file)
    await t.rejects(CertificateAuthority.load({ file }), { code, message }, `a file ${what}`)
    await t.rejects(CertificateAuthority.load({ file }), { message: new RegExp(file) }, 'it is named')
    t.equal(readFileSync(file, 'utf8'), pem)
    t.equal(statSync(file).mtimeMs, mtimeMs)
  }
})

t.test('an authority for any purpose may sign', async (t) => {
  const pair = selfSigned({ extensions: (key) => [...authorityExtensions(key), extKeyUsage('2.5.29.37.0')] })
  t.equal((await CertificateAuthority.load(pair)).name, 'test')
})

t.test('one whose time is over, or has not come, is refused', async (t) => {
  const pair = selfSigned({ days: 10 })
  for (const days of [-1, 11]) {
    const clock = t.capture(Date, 'now', () => new Date().getTime() + days * 86_400_000)
    await t.rejects(
      CertificateAuthority.load(pair),
      { code: 'FST_PROX_CA_EXPIRED', message: /in the options ca\.key and ca\.cert is valid from .* to .* only/ }
    )
    clock.restore()
  }
})
