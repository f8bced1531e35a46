/** X.509 (RFC 5280): the certificate of the authority and those that it signs, signed by `node:crypto`. */
import { createHash, createPublicKey, randomBytes, sign } from 'node:crypto'
import type { KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  TRUE, bits, children, contents, decode, dotted, encode, encodeAll, frozen, implicit, integer, nullNode, octets, oid,
  printable, sequence, sequenceOf, set, tagged, time, utf8
} from './der'
import type { Encoded, Node } from './der'
import { DNS_NAME, IP_ADDRESS, UNCONSTRAINED, decodeConstraints, encodeConstraints } from './constraints'
import type { NameConstraints } from './constraints'
import { addressBytes } from './names'

const DAY = 86_400_000

/** Validity of a CA that is made: ten years, from a day ago for clients whose clock is behind. Milliseconds. */
const CA_LIFETIME = 3650 * DAY

/** Validity of a leaf, ends included (RFC 5280 4.1.2.5), from a day ago. Milliseconds. */
const LEAF_LIFETIME = 45 * DAY - 1000

const BACKDATE = DAY

const OID = {
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  anyExtendedKeyUsage: '2.5.29.37.0',
  serverAuth: '1.3.6.1.5.5.7.3.1'
} as const

/** How many characters a common name holds at most (ub-common-name, RFC 5280 A.1). */
export const COMMON_NAME_LENGTH = 64

/** The extended key usages either of which lets a certificate be that of a server (RFC 5280 4.2.1.12). */
export const SERVER_PURPOSES: readonly string[] = [OID.serverAuth, OID.anyExtendedKeyUsage]

/** Key usages by their bits (RFC 5280 4.2.1.3). */
const CERT_AND_CRL_SIGN = bits(Buffer.from([0x06]), 1)
const DIGITAL_SIGNATURE = bits(Buffer.from([0x80]), 7)
const DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT = bits(Buffer.from([0xa0]), 5)

/** How a key signs certificates. */
interface SignatureAlgorithm {
  /** The digest for `crypto.sign`; `null` for a key that allows one only. */
  readonly digest: string | null
  readonly identifier: Node
}

const BY_CURVE: Record<string, SignatureAlgorithm> = {
  prime256v1: { digest: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) },
  secp384r1: { digest: 'sha384', identifier: sequence(oid('1.2.840.10045.4.3.3')) },
  secp521r1: { digest: 'sha512', identifier: sequence(oid('1.2.840.10045.4.3.4')) }
}

const BY_TYPE: Record<string, SignatureAlgorithm> = {
  rsa: { digest: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), nullNode()) },
  ed25519: { digest: null, identifier: sequence(oid('1.3.101.112')) }
}

/** Tells how a private key signs certificates; `undefined` when clients would not verify what it signs. */
export function signatureAlgorithm (key: KeyObject): SignatureAlgorithm | undefined {
  return BY_CURVE[String(key.asymmetricKeyDetails?.namedCurve)] ?? BY_TYPE[String(key.asymmetricKeyType)]
}

/** The key identifier of RFC 5280 4.2.1.2 (1): SHA-1 over the bits of the public key. */
function keyIdentifierOf (publicKeyInfo: Node): Buffer {
  const [, subjectPublicKey] = children(publicKeyInfo) as [Node, Node]
  return createHash('sha1').update(contents(subjectPublicKey).subarray(1)).digest()
}

/** A serial number: 16 random bytes, positive and without a leading zero (RFC 5280 4.1.2.2). */
function randomSerial (): Buffer {
  const serial = randomBytes(16)
  serial[0] = serial[0]! & 0x7f | 0x40
  return serial
}

function extension (id: string, critical: boolean, value: Node | Buffer): Node {
  const extnValue = octets(Buffer.isBuffer(value) ? value : encode(value))
  return critical ? sequence(oid(id), TRUE, extnValue) : sequence(oid(id), extnValue)
}

function attribute (type: string, value: Node): Node {
  return set(sequence(oid(type), value))
}

interface ToBeSigned {
  serial: Buffer
  issuer: Node
  notBefore: number
  notAfter: number
  subject: Node
  publicKey: Node
  /** Extensions, as a SEQUENCE. */
  extensions: Node
}

/** Signs a certificate; in DER (RFC 5280 4.1). */
function signCertificate (tbs: ToBeSigned, key: KeyObject, algorithm: SignatureAlgorithm): Buffer {
  const tbsCertificate = frozen(sequence(
    tagged(0, integer(2)),
    integer(tbs.serial),
    algorithm.identifier,
    tbs.issuer,
    sequence(time(tbs.notBefore), time(tbs.notAfter)),
    tbs.subject,
    tbs.publicKey,
    tagged(3, tbs.extensions)))
  const signature = sign(algorithm.digest, encode(tbsCertificate), key)
  return encode(sequence(tbsCertificate, algorithm.identifier, bits(signature)))
}

/**
 * Makes the self-signed certificate of a new authority, in DER. Its subject is the name and a random serial number, so
 * that two authorities of one name are never taken for each other.
 *
 * @param now milliseconds since the epoch.
 */
export function createAuthority (
  name: string, key: KeyObject, constraints: NameConstraints, now: number
): Buffer {
  const publicKey = decode(createPublicKey(key).export({ type: 'spki', format: 'der' }))
  const subject = sequence(
    attribute(OID.commonName, utf8(name)),
    attribute(OID.serialNumber, printable(randomBytes(8).toString('hex'))))
  const extensions = [
    extension(OID.basicConstraints, true, sequence(TRUE, integer(0))),
    extension(OID.keyUsage, true, CERT_AND_CRL_SIGN),
    extension(OID.subjectKeyIdentifier, false, octets(keyIdentifierOf(publicKey)))
  ]
  if (constraints !== UNCONSTRAINED) {
    extensions.push(extension(OID.nameConstraints, true, encodeConstraints(constraints)))
  }
  return signCertificate({
    serial: randomSerial(),
    issuer: subject,
    notBefore: now - BACKDATE,
    notAfter: now - BACKDATE + CA_LIFETIME,
    subject,
    publicKey,
    extensions: sequence(...extensions)
  }, key, signatureAlgorithm(key)!)
}

interface Fields {
  readonly subject: Node
  readonly publicKey: Node
  /** The values of the extensions by their object identifiers. */
  readonly extensions: Map<string, Buffer>
}

/** Reads subject, public key and extensions of a certificate of version 3. */
function readFields (certificate: X509Certificate): Fields {
  const [tbsCertificate] = children(decode(certificate.raw)) as [Node]
  // The version comes first and the extensions last (RFC 5280 4.1).
  const [subject, publicKey, ...rest] = children(tbsCertificate).slice(5) as [Node, Node, ...Node[]]
  const extensions = children(children(rest.at(-1)!)[0]!).map((entry): [string, Buffer] => {
    const fields = children(entry)
    return [dotted(fields[0]!), contents(fields.at(-1)!)]
  })
  return { subject, publicKey, extensions: new Map(extensions) }
}

/** The common name of a certificate, or else its whole subject. */
export function subjectName (certificate: X509Certificate): string {
  const { CN } = certificate.toLegacyObject().subject
  return [CN ?? certificate.subject.split('\n')].flat().join(', ')
}

/** Reads the name constraints of an authority's certificate. */
export function readConstraints (certificate: X509Certificate): NameConstraints {
  const constraints = readFields(certificate).extensions.get(OID.nameConstraints)
  return constraints === undefined ? UNCONSTRAINED : decodeConstraints(constraints)
}

/** A leaf as it was signed. */
export interface SignedLeaf {
  readonly der: Buffer
  /** Hexadecimal, in upper case as `X509Certificate.serialNumber` has it. */
  readonly serialNumber: string
  /** Milliseconds since the epoch. */
  readonly notAfter: number
}

/** The parts of a leaf that depend on its key alone. */
export interface SubjectKey {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Node
  readonly extensions: Encoded
}

/** Encodes what a leaf says of its key: once for all leaves of one key. */
export function subjectKey (key: KeyObject): SubjectKey {
  const publicKey = decode(key.export({ type: 'spki', format: 'der' }))
  // Without ephemeral keys, TLS 1.2 has the client encrypt the secret for an RSA key (RFC 5246 7.4.2).
  const keyUsage = key.asymmetricKeyType === 'rsa' ? DIGITAL_SIGNATURE_AND_KEY_ENCIPHERMENT : DIGITAL_SIGNATURE
  return {
    publicKey: frozen(publicKey),
    extensions: encodeAll([
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, keyUsage),
      extension(OID.extKeyUsage, false, sequence(oid(OID.serverAuth))),
      extension(OID.subjectKeyIdentifier, false, octets(keyIdentifierOf(publicKey)))
    ])
  }
}

/** Signs a leaf: its names (the first one becomes the common name, where it may), its key, the time in milliseconds. */
type LeafSigner = (names: readonly string[], key: SubjectKey, now: number) => SignedLeaf

/** Makes what signs leaves with the key of an authority. A leaf's validity stays within that of the authority. */
export function leafSigner (certificate: X509Certificate, key: KeyObject): LeafSigner {
  const { subject, publicKey: issuerKey, extensions: issuerExtensions } = readFields(certificate)
  const issuer = frozen(subject)
  const stored = issuerExtensions.get(OID.subjectKeyIdentifier)
  const keyIdentifier = stored === undefined ? keyIdentifierOf(issuerKey) : contents(decode(stored))
  const authorityKeyIdentifier = encodeAll([
    extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, keyIdentifier)))
  ])
  const algorithm = signatureAlgorithm(key)!
  const from = Date.parse(certificate.validFrom)
  const until = Date.parse(certificate.validTo)
  return (names, { publicKey, extensions }, at) => {
    // Certificates know whole seconds.
    const now = at - at % 1000
    const serial = randomSerial()
    const [first] = names as [string]
    // An address as common name would be held to the name constraints of DNS names by OpenSSL.
    const named = isIP(first) === 0 && first.length <= COMMON_NAME_LENGTH
    const notAfter = Math.min(now - BACKDATE + LEAF_LIFETIME, until)
    const subjectAltName = sequence(...names.map((name) => isIP(name) === 0
      ? implicit(DNS_NAME, name)
      : implicit(IP_ADDRESS, addressBytes(name))))
    const der = signCertificate({
      serial,
      issuer,
      notBefore: Math.max(now - BACKDATE, from),
      notAfter,
      subject: named ? sequence(attribute(OID.commonName, utf8(first))) : sequence(),
      publicKey,
      extensions: sequenceOf(
        extensions + authorityKeyIdentifier + encodeAll([extension(OID.subjectAltName, !named, subjectAltName)]))
    }, key, algorithm)
    return { der, serialNumber: serial.toString('hex').toUpperCase(), notAfter }
  }
}

/** Writes DER as PEM (RFC 7468). */
export function certificatePem (der: Buffer): string {
  const base64 = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`
}
