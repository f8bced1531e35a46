/** What stands in the certificates, byte for byte. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { encode, time } from '../../plugin/ca/der'
import { oid, printable, read, sequence, set, utf8, value } from './asn1'
import type { Value } from './asn1'
import {
  SIGN_CERTIFICATES_AND_CRLS, authorityExtensions, basicConstraints, ec, hashOf, keyIdentifier, rdn, selfSigned, signed
} from './bundles'
import { handshake, serve } from './loopback'

const DAY = 86_400_000

/** The fields of a TBSCertificate (RFC 5280 4.1). */
function fields (pem: string): Value[] {
  const [certificate] = read(new X509Certificate(pem).raw)
  const [tbsCertificate] = read(certificate!.content)
  return read(tbsCertificate!.content)
}

const OIDS = [
  '2.5.29.14', '2.5.29.15', '2.5.29.17', '2.5.29.19', '2.5.29.30', '2.5.29.35', '2.5.29.37'
].map((dotted): [string, string] => [oid(dotted).toString('hex'), dotted])

/** The extensions of a certificate by their object identifiers: their value in hexadecimal, and `!` when critical. */
function extensions (pem: string): Record<string, string> {
  const [list] = read(fields(pem).at(-1)!.content)
  return Object.fromEntries(read(list!.content).map((extension) => {
    const [id, ...rest] = read(extension.content)
    const critical = rest.length > 1 ? '!' : ''
    return [new Map(OIDS).get(id!.der.toString('hex')), critical + rest.at(-1)!.content.toString('hex')]
  }))
}

const hex = (text: string) => Buffer.from(text, 'latin1').toString('hex')

t.test('a CA that is made is a root of ten years that may sign leaves alone', async (t) => {
  const now = Date.now()
  const authority = await CertificateAuthority.load({ store: new Map(), name: 'Exámple CA' })
  const certificate = new X509Certificate(authority.certificatePem)
  t.equal(authority.name, 'Exámple CA')
  t.ok(certificate.checkIssued(certificate))
  t.ok(certificate.verify(certificate.publicKey))
  t.ok(certificate.ca)
  t.match(certificate.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' })
  t.match(certificate.serialNumber, /^[4-7][0-9A-F]{31}$/)
  const from = Date.parse(certificate.validFrom)
  t.ok(Math.abs(now - DAY - from) < 5000, 'from a day ago')
  t.equal(Date.parse(certificate.validTo) - from, 3650 * DAY)
  t.same(authority.notAfter, new Date(certificate.validTo))
  t.equal(authority.fingerprint256, certificate.fingerprint256)
  t.same(authority.certificateDer, certificate.raw)
  t.strictSame(extensions(authority.certificatePem), {
    '2.5.29.19': '!30060101ff020100',
    '2.5.29.15': '!03020106',
    '2.5.29.14': `0414${hashOf(certificate.publicKey).toString('hex')}`
  }, 'basic constraints with a path length of 0, key usage, key identifier')
})

t.test('no two CAs of one name have one subject', async (t) => {
  const [one, two] = await Promise.all([1, 2].map(async () => await CertificateAuthority.load({ store: new Map() })))
  const subjects = [one, two].map((authority) => new X509Certificate(authority!.certificatePem).subject)
  t.match(subjects[0], /^CN=fastify-prox https proxy CA\nserialNumber=[0-9a-f]{16}$/)
  t.not(subjects[0], subjects[1])
})

t.test('a CA may have an RSA key', async (t) => {
  const authority = await CertificateAuthority.load({ store: new Map(), keyType: 'rsa' })
  const certificate = new X509Certificate(authority.certificatePem)
  t.match(certificate.publicKey.asymmetricKeyDetails, { modulusLength: 2048 })
  const leaf = new X509Certificate(await authority.certificate('example.com'))
  t.ok(leaf.verify(certificate.publicKey))
  t.equal(fields(leaf.toString())[2]!.der.toString('hex'), '300d06092a864886f70d01010b0500', 'sha256WithRSAEncryption')
})

t.test('a CA has the name constraints of the option permit, for names and for addresses', async (t) => {
  const names = await CertificateAuthority.load({ store: new Map(), permit: ['.test', 'localhost'] })
  const everyAddress = `a130300a8708${'00'.repeat(8)}30228720${'00'.repeat(32)}`
  const dns = `3006820474657374300b8209${hex('localhost')}`
  t.equal(extensions(names.certificatePem)['2.5.29.30'], `!3049a015${dns}${everyAddress}`)
  const addresses = await CertificateAuthority.load({ store: new Map(), permit: ['10.0.0.0/8', '::1'] })
  const networks = `300a87080a000000ff00000030228720${'00'.repeat(15)}01${'ff'.repeat(16)}`
  t.equal(extensions(addresses.certificatePem)['2.5.29.30'], `!3038a030${networks}a10430028200`)
})

t.test('a leaf is a certificate of 45 days for servers of its names', async (t) => {
  const now = Date.now()
  const authority = await CertificateAuthority.load({ store: new Map() })
  const certificate = new X509Certificate(authority.certificatePem)
  const pem = await authority.certificate('www.example.com')
  const leaf = new X509Certificate(pem)
  t.ok(leaf.verify(certificate.publicKey))
  t.equal(leaf.issuer, certificate.subject)
  t.equal(leaf.subject, 'CN=example.com')
  t.equal(leaf.subjectAltName, 'DNS:example.com, DNS:*.example.com')
  t.match(leaf.serialNumber, /^[4-7][0-9A-F]{31}$/)
  t.notOk(leaf.ca)
  const from = Date.parse(leaf.validFrom)
  t.ok(Math.abs(now - DAY - from) < 5000, 'from a day ago')
  t.equal(Date.parse(leaf.validTo) - from, 45 * DAY - 1000, '45 days, ends included')
  t.match(leaf.publicKey.asymmetricKeyDetails, { namedCurve: 'prime256v1' })
  t.notOk(leaf.publicKey.equals(certificate.publicKey), "never the CA's key")
  t.strictSame(extensions(pem), {
    '2.5.29.19': '!3000',
    '2.5.29.15': '!03020780',
    '2.5.29.37': '300a06082b06010505070301',
    '2.5.29.14': `0414${hashOf(leaf.publicKey).toString('hex')}`,
    '2.5.29.35': `30168014${hashOf(certificate.publicKey).toString('hex')}`,
    '2.5.29.17': `301c820b${hex('example.com')}820d${hex('*.example.com')}`
  }, 'no authority; digital signatures; servers; the identifiers of its key and of the CA\'s; names')
  const others = await Promise.all(
    ['a.test', 'b.test'].map(async (host) => new X509Certificate(await authority.certificate(host)))
  )
  t.equal(new Set([leaf, ...others].map(({ serialNumber }) => serialNumber)).size, 3, 'every serial number is new')
  t.ok(others.every((other) => other.publicKey.equals(leaf.publicKey)), 'one key for all leaves of a process')
})

t.test('a leaf may have an RSA key', async (t) => {
  const authority = await CertificateAuthority.load({ store: new Map(), leafKeyType: 'rsa' })
  const pem = await authority.certificate('www.example.com')
  const leaf = new X509Certificate(pem)
  t.match(leaf.publicKey.asymmetricKeyDetails, { modulusLength: 2048 })
  t.equal(extensions(pem)['2.5.29.15'], '!030205a0', 'digital signatures and key encipherment')
  t.equal(extensions(pem)['2.5.29.14'], `0414${hashOf(leaf.publicKey).toString('hex')}`)
  const other = await CertificateAuthority.load({ store: new Map(), leafKeyType: 'rsa' })
  const another = new X509Certificate(await other.certificate('www.example.com'))
  t.ok(another.publicKey.equals(leaf.publicKey), 'one key for all leaves of a process')
  const { key, cert } = await authority.issue('www.example.com')
  const issued = new X509Certificate(cert)
  t.match(issued.publicKey.asymmetricKeyDetails, { modulusLength: 2048 })
  t.ok(issued.checkPrivateKey(createPrivateKey(key)))
  t.notOk(issued.publicKey.equals(leaf.publicKey))
  const port = await serve(t, async () => await authority.secureContext('www.example.com'))
  for (const ciphers of ['ECDHE-RSA-AES128-GCM-SHA256', 'AES128-SHA256']) {
    const client = {
      ca: authority.certificatePem, servername: 'www.example.com', maxVersion: 'TLSv1.2', ciphers
    } as const
    t.equal((await handshake(port, client)).certificate, pem, ciphers)
  }
})

t.test('addresses are addresses, and names of more than 64 characters are no common name', async (t) => {
  const authority = await CertificateAuthority.load({ store: new Map() })
  const long = `${'a'.repeat(63)}.example.com`
  const expected: Record<string, [string | undefined, string]> = {
    '192.0.2.1': [undefined, 'IP Address:192.0.2.1'],
    '[2001:DB8::1]': [undefined, 'IP Address:2001:DB8:0:0:0:0:0:1'],
    [`x.${long}`]: [undefined, `DNS:${long}, DNS:*.${long}`],
    [`${'a'.repeat(52)}.example.com`]: ['CN=example.com', 'DNS:example.com, DNS:*.example.com'],
    [`x.${'a'.repeat(52)}.example.com`]: [
      `CN=${'a'.repeat(52)}.example.com`, `DNS:${'a'.repeat(52)}.example.com, DNS:*.${'a'.repeat(52)}.example.com`
    ]
  }
  for (const [host, [subject, names]] of Object.entries(expected)) {
    const pem = await authority.certificate(host)
    const leaf = new X509Certificate(pem)
    t.equal(leaf.subject || undefined, subject, host)
    t.equal(leaf.subjectAltName, names)
    t.equal(extensions(pem)['2.5.29.17']![0], subject === undefined ? '!' : '3', 'critical when it is all there is')
  }
})

t.test('the issuer is the subject of the CA byte for byte', async (t) => {
  const mail = set(sequence(oid('1.2.840.113549.1.9.1'), value(0x16, Buffer.from('a@example.com'))))
  const teletex = set(sequence(oid('2.5.4.10'), value(0x14, Buffer.from('\xc6rlig', 'latin1'))))
  const two = set(sequence(oid('2.5.4.3'), utf8('two')), sequence(oid('2.5.4.11'), printable('one')))
  const subjects = [
    [rdn('C', 'NO'), rdn('O', 'Ærlig + Co/Sons, "x"')],
    [mail, two, rdn('C', 'NO')],
    [teletex, rdn('CN', 'x')],
    [rdn('OU', ''), rdn('OU', ' twice  spaced ')]
  ]
  for (const subject of subjects) {
    const pair = selfSigned({ subject })
    const authority = await CertificateAuthority.load(pair)
    const [, , , issuer] = fields(await authority.certificate('example.com'))
    t.same(issuer!.der, sequence(...subject))
    t.ok(new X509Certificate(pair.cert).raw.includes(issuer!.der))
  }
})

t.test('the key identifier is what the CA has, or computed where it has none', async (t) => {
  const identifier = async (pair: ReturnType<typeof selfSigned>) => extensions(
    await (await CertificateAuthority.load(pair)).certificate('example.com')
  )['2.5.29.35']
  const own = selfSigned(
    { extensions: () => [basicConstraints(true), SIGN_CERTIFICATES_AND_CRLS, keyIdentifier(Buffer.from([1, 2, 3, 4]))] }
  )
  t.equal(await identifier(own), '3006800401020304')
  const none = selfSigned({ extensions: () => [basicConstraints(true), SIGN_CERTIFICATES_AND_CRLS] })
  t.equal(await identifier(none), `30168014${hashOf(createPrivateKey(none.key)).toString('hex')}`)
})

t.test('a leaf stays within the time of its CA', async (t) => {
  const pair = selfSigned({ days: 10 })
  const authority = await CertificateAuthority.load(pair, () => {})
  const certificate = new X509Certificate(pair.cert)
  const leaf = new X509Certificate(await authority.certificate('example.com'))
  t.equal(leaf.validFrom, certificate.validFrom)
  t.equal(leaf.validTo, certificate.validTo)
})

t.test('behind a CA that is not a root, the chain is served', async (t) => {
  const rootKey = ec()
  const subject = [rdn('CN', 'root')]
  const root = selfSigned({ key: rootKey, subject })
  const intermediate = signed(
    { subject: [rdn('CN', 'intermediate')], extensions: authorityExtensions }, { key: rootKey, subject }
  )
  const authority = await CertificateAuthority.load({ key: intermediate.key, cert: root.cert + intermediate.cert })
  t.equal(authority.name, 'intermediate')
  t.equal(authority.certificatePem, intermediate.cert)
  const pem = await authority.certificate('example.com')
  const [leaf, ...rest] = pem.split(/(?<=END CERTIFICATE-----\n)/)
  t.same(rest, [intermediate.cert], 'without the root')
  const port = await serve(t, async () => await authority.secureContext('example.com'))
  t.equal((await handshake(port, { ca: root.cert, servername: 'example.com' })).certificate, leaf)
  t.ok((await authority.issue('example.com')).cert.endsWith(intermediate.cert))
})

t.test('times are UTCTime until 2049 and GeneralizedTime from 2050', async (t) => {
  t.equal(encode(time(Date.UTC(2049, 11, 31, 23, 59, 59))).toString('latin1'), '\x17\r491231235959Z')
  t.equal(encode(time(Date.UTC(2050, 0, 1))).toString('latin1'), '\x18\x0f20500101000000Z')
})
