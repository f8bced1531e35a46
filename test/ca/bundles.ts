/**
 * Makes authorities of others: certificates that are put together here, not by the code under test, and the files of
 * other programs as those write them: the kinds of keys and names, the extensions and their order, the forms of files.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  NULL, TRUE, bits, integer, octets, oid, printable, read, sequence, set, tagged, utcTime, utf8
} from './asn1'

const DAY = 86_400_000

const OID = {
  CN: '2.5.4.3', C: '2.5.4.6', O: '2.5.4.10', OU: '2.5.4.11'
}

/** A relative distinguished name of one value. */
export function rdn (type: keyof typeof OID, value: string): Buffer {
  return set(sequence(oid(OID[type]), type === 'C' ? printable(value) : utf8(value)))
}

function extension (id: string, value: Buffer, ...critical: Buffer[]): Buffer {
  return sequence(oid(id), ...critical, octets(value))
}

/** Makes extensions; `pathlen` is the number of authorities that may be below. */
export const basicConstraints = (ca: boolean, pathlen?: number) => extension('2.5.29.19',
  sequence(...ca ? [TRUE] : [], ...pathlen === undefined ? [] : [integer(pathlen)]), TRUE)
export const keyUsage = (octet: number, unused: number) => extension(
  '2.5.29.15', bits(Buffer.from([octet]), unused), TRUE
)
export const extKeyUsage = (...purposes: string[]) => extension('2.5.29.37', sequence(...purposes.map(oid)))
export const keyIdentifier = (id: Buffer) => extension('2.5.29.14', octets(id))

export const SIGN_CERTIFICATES_AND_CRLS = keyUsage(0x06, 1)
export const SIGN_CERTIFICATES = keyUsage(0x04, 2)

/** The key identifier that most programs compute: SHA-1 over the bits of the public key. */
export function hashOf (key: KeyObject): Buffer {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const [info] = read(publicKey.export({ type: 'spki', format: 'der' }))
  const [, point] = read(info!.content)
  return createHash('sha1').update(point!.content.subarray(1)).digest()
}

/** What makes an authority, to which a recipe can add. */
export const authorityExtensions = (key: KeyObject) =>
  [basicConstraints(true), SIGN_CERTIFICATES_AND_CRLS, keyIdentifier(hashOf(key))]

/** How a certificate is to be. */
export interface Recipe {
  key?: KeyObject
  subject?: Buffer[]
  extensions?: (key: KeyObject) => Buffer[]
  /** From now on. */
  days?: number
}

/** A private key (PKCS #8) and its certificate, in PEM. */
export interface Pair {
  readonly key: string
  readonly cert: string
}

export const ec = (namedCurve = 'P-256') => generateKeyPairSync('ec', { namedCurve }).privateKey
export const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey

const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString()

function algorithmOf (key: KeyObject): { digest: string | null, identifier: Buffer } {
  switch (key.asymmetricKeyType) {
    case 'rsa': return { digest: 'sha256', identifier: sequence(oid('1.2.840.113549.1.1.11'), NULL) }
    case 'ec': return { digest: 'sha256', identifier: sequence(oid('1.2.840.10045.4.3.2')) }
    case 'ed25519': return { digest: null, identifier: sequence(oid('1.3.101.112')) }
    default: return { digest: null, identifier: sequence(oid('1.3.101.113')) }
  }
}

/** A certificate that another key signs, or its own. */
export function signed (
  { key = ec(), subject = [rdn('CN', 'test')], extensions = authorityExtensions, days = 3650 }: Recipe = {},
  issuer = { key, subject }
): Pair {
  const { digest, identifier } = algorithmOf(issuer.key)
  const now = Date.now()
  const tbs = sequence(
    tagged(0, integer(2)),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    identifier,
    sequence(...issuer.subject),
    sequence(utcTime(now), utcTime(now + days * DAY)),
    sequence(...subject),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions(key))))
  const der = sequence(tbs, identifier, bits(sign(digest, tbs, issuer.key)))
  const base64 = der.toString('base64').replace(/.{1,64}/g, '$&\n')
  return { key: pem(key), cert: `-----BEGIN CERTIFICATE-----\n${base64}-----END CERTIFICATE-----\n` }
}

export function selfSigned (recipe: Recipe = {}): Pair {
  return signed(recipe)
}

/** What another program leaves behind. */
interface Made {
  /** The file that the option `file` gets. */
  readonly file: string
  readonly certificate: string
}

/** certauth, and pywb with it: PKCS #8 and the certificate in one file, three years. */
export function certauthBundle (directory: string): Made {
  const { key, cert } = selfSigned({
    key: rsa(2048),
    subject: [rdn('CN', 'wsgiprox https proxy CA')],
    extensions: (key) => [basicConstraints(true, 0), SIGN_CERTIFICATES_AND_CRLS, keyIdentifier(hashOf(key))],
    days: 3 * 365
  })
  const file = join(directory, 'wsgiprox-ca.pem')
  writeFileSync(file, key + cert, { mode: 0o600 })
  return { file, certificate: cert }
}

/** mitmproxy: PKCS #1 and the certificate in `mitmproxy-ca.pem`; the certificate is good for servers only. */
export function mitmproxyBundle (directory: string): Made {
  const { key, cert } = selfSigned({
    key: rsa(2048),
    subject: [rdn('CN', 'mitmproxy'), rdn('O', 'mitmproxy')],
    extensions: (key) => {
      const servers = extKeyUsage('1.3.6.1.5.5.7.3.1')
      return [basicConstraints(true), servers, SIGN_CERTIFICATES_AND_CRLS, keyIdentifier(hashOf(key))]
    }
  })
  const file = join(directory, 'mitmproxy-ca.pem')
  writeFileSync(file, createPrivateKey(key).export({ type: 'pkcs1', format: 'pem' }) + cert, { mode: 0o600 })
  return { file, certificate: cert }
}

/** mkcert: `rootCA.pem` and beside it `rootCA-key.pem`, RSA of 3072 bits. */
export function mkcertBundle (directory: string): Made {
  const { key, cert } = selfSigned({
    key: rsa(3072),
    subject: [
      rdn('O', 'mkcert development CA'), rdn('OU', 'user@host (User)'), rdn('CN', 'mkcert user@host (User)')
    ],
    extensions: (key) => [SIGN_CERTIFICATES, basicConstraints(true, 0), keyIdentifier(hashOf(key))]
  })
  const file = join(directory, 'rootCA.pem')
  writeFileSync(file, cert)
  writeFileSync(join(directory, 'rootCA-key.pem'), key, { mode: 0o400 })
  // What the umask of the process takes away is given back: mkcert's certificate is for everyone to read.
  chmodSync(file, 0o644)
  return { file, certificate: cert }
}
