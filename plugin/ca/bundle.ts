/** Makes, or reads and checks, the private key and the certificate of an authority. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { CertificateAuthorityKeyPair } from '../../types/ca'
import {
  FST_PROX_CA_CORRUPT, FST_PROX_CA_EXPIRED, FST_PROX_CA_MISMATCH, FST_PROX_CA_NOT_A_CA, FST_PROX_CA_UNSUPPORTED_KEY
} from '../errors'
import { newKeyPair } from './keys'
import type { NewAuthority } from './options'
import { SERVER_PURPOSES, certificatePem, createAuthority, signatureAlgorithm } from './x509'

/** An authority that may sign. */
export interface Bundle {
  readonly key: KeyObject
  readonly certificate: X509Certificate
  /** The certificates that a server sends after a leaf: none for a root, else the intermediate and those above it. */
  readonly chain: readonly X509Certificate[]
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

/** The private keys and certificates of a PEM text, each in their order. */
interface Blocks {
  readonly keys: string[]
  readonly certificates: string[]
}

/** Finds the private keys and certificates of a PEM text (RFC 7468). */
export function readBlocks (pem: string): Blocks {
  const blocks: Blocks = { keys: [], certificates: [] }
  for (const [block, label] of pem.matchAll(BLOCK)) {
    if (label === 'CERTIFICATE') blocks.certificates.push(block)
    if (label!.endsWith('PRIVATE KEY')) blocks.keys.push(block)
  }
  return blocks
}

function attempt<T> (source: string, what: string, read: () => T): T {
  try {
    return read()
  } catch (err) {
    throw new FST_PROX_CA_CORRUPT(source, `${what} cannot be read (${(err as Error).message})`)
  }
}

/** Reads PKCS #8, or the older forms of RSA (RFC 8017) and EC (RFC 5915) keys. */
function keyFromDer (key: Buffer): KeyObject {
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key, format: 'der', type })
    } catch {
      // Not of that form: the next one.
    }
  }
  throw new Error('it is neither PKCS #8 nor PKCS #1 nor SEC1')
}

function isPem (input: string | Buffer): boolean {
  return typeof input === 'string' || input.includes('-----BEGIN ')
}

function readKey (key: CertificateAuthorityKeyPair['key'], source: string): KeyObject {
  if (typeof key !== 'string' && !Buffer.isBuffer(key)) return key
  return attempt(source, 'the private key', () => isPem(key) ? createPrivateKey(key) : keyFromDer(key as Buffer))
}

function readCertificates (cert: string | Buffer, source: string): X509Certificate[] {
  const inputs = isPem(cert) ? readBlocks(cert.toString()).certificates : [cert]
  if (inputs.length === 0) throw new FST_PROX_CA_CORRUPT(source, 'it holds no certificate')
  return inputs.map((input) => attempt(source, 'the certificate', () => new X509Certificate(input)))
}

/** Tells why clients would not verify what a key signs; `null` when they do. */
function unsupported (key: KeyObject): string | null {
  const { modulusLength = Infinity, namedCurve } = key.asymmetricKeyDetails!
  if (signatureAlgorithm(key) === undefined) return namedCurve ?? String(key.asymmetricKeyType)
  return modulusLength < 2048 ? `RSA of ${modulusLength} bits` : null
}

/** Tells why a certificate may not sign those of servers; `null` when it may. */
function notAnAuthority (certificate: X509Certificate): string | null {
  if (!certificate.subject) return 'it has no subject'
  if (!certificate.ca) return 'its basic constraints or its key usage do not say so'
  // Node's `keyUsage` is the extended key usage (RFC 5280 4.2.1.12).
  const purposes = certificate.keyUsage as string[] | undefined
  return purposes === undefined || SERVER_PURPOSES.some((purpose) => purposes.includes(purpose))
    ? null
    : 'its extended key usage leaves out servers'
}

/**
 * Reads an authority from its private key and its certificate. Of several certificates, the one that belongs to the
 * key is the authority's.
 *
 * @param source where they come from, for errors.
 * @throws FST_PROX_CA_CORRUPT, FST_PROX_CA_MISMATCH, FST_PROX_CA_UNSUPPORTED_KEY, FST_PROX_CA_NOT_A_CA,
 * FST_PROX_CA_EXPIRED
 */
export function readBundle (pair: CertificateAuthorityKeyPair, source: string): Bundle {
  const key = readKey(pair.key, source)
  const kind = unsupported(key)
  if (kind !== null) throw new FST_PROX_CA_UNSUPPORTED_KEY(source, kind)
  const certificates = readCertificates(pair.cert, source)
  const certificate = certificates.find((candidate) => candidate.checkPrivateKey(key))
  if (certificate === undefined) throw new FST_PROX_CA_MISMATCH(source)
  const reason = notAnAuthority(certificate)
  if (reason !== null) throw new FST_PROX_CA_NOT_A_CA(source, reason)
  const now = Date.now()
  if (now < Date.parse(certificate.validFrom) || now > Date.parse(certificate.validTo)) {
    throw new FST_PROX_CA_EXPIRED(source, certificate.validFrom, certificate.validTo)
  }
  const isRoot = (candidate: X509Certificate) => candidate.checkIssued(candidate)
  const others = certificates.filter((other) => other !== certificate && !isRoot(other))
  return { key, certificate, chain: isRoot(certificate) ? [] : [certificate, ...others] }
}

/**
 * Reads an authority from a PEM text that holds its private key and its certificate, in either order.
 *
 * @throws what `readBundle` does.
 */
export function readPemBundle (pem: string, source: string): Bundle {
  const { keys: [key] } = readBlocks(pem)
  if (key === undefined) throw new FST_PROX_CA_CORRUPT(source, 'it holds no private key')
  return readBundle({ key, cert: pem }, source)
}

/** Makes a new authority as a PEM text: its private key and its certificate. */
export async function makePemBundle ({ name, keyType, constraints }: NewAuthority): Promise<string> {
  const { privateKey } = await newKeyPair(keyType)
  const certificate = createAuthority(name, privateKey, constraints, Date.now())
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) + certificatePem(certificate)
}
