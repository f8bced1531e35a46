/**
 * Changes an authority for another one in three steps, each of which leaves a PEM bundle that works: `announce` puts a
 * new authority behind the one that signs, so that clients come to trust it; `switch` has the other of the two sign;
 * `drop` takes away the one that does not. In a bundle of several authorities the first one signs.
 */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { CertificateAuthorityWarning, RotationStep } from '../../types/ca'
import { FST_PROX_CA_NOT_ROTATED, reasonOf } from '../errors'
import { makePemBundle, readBlocks, readPemBundle } from './bundle'
import type { Bundle } from './bundle'
import type { NewAuthority } from './options'
import { COMMON_NAME_LENGTH, readConstraints, subjectName } from './x509'

/** An authority that signs, and the certificates of those that are there besides. */
export interface Authorities {
  readonly signing: Bundle
  readonly others: readonly X509Certificate[]
}

interface Block {
  readonly text: string
  readonly certificate: X509Certificate
}

function readable<T> (read: () => T): T[] {
  try {
    return [read()]
  } catch {
    return []
  }
}

/** A certificate and those above it, as far as they are there and no roots. */
function chainOf (own: Block, blocks: readonly Block[]): Block[] {
  const chain = [own]
  for (const { certificate } of chain) {
    const issuer = blocks.find((block) => !chain.includes(block) && certificate.checkIssued(block.certificate))
    if (issuer !== undefined) chain.push(issuer)
  }
  return chain
}

/**
 * Takes a PEM text with several authorities apart, a text for each. One with a single private key, or whose first key
 * has no certificate, stays as it is.
 */
function authoritiesOf (pem: string): string[] {
  const { keys, certificates } = readBlocks(pem)
  if (keys.length < 2) return [pem]
  const blocks = certificates
    .flatMap((text) => readable<Block>(() => ({ text, certificate: new X509Certificate(text) })))
  const partOf = (text: string): string | undefined => {
    const [key] = readable<KeyObject>(() => createPrivateKey(text))
    const own = key === undefined ? undefined : blocks.find(({ certificate }) => certificate.checkPrivateKey(key))
    return own === undefined ? undefined : [text, ...chainOf(own, blocks).map(({ text }) => text), ''].join('\n')
  }
  const [first, ...others] = keys.map(partOf)
  return first === undefined ? [pem] : [first, ...others.filter((part) => part !== undefined)]
}

/**
 * Reads the authority that signs, and those that are there besides; one of these that is of no use is left out.
 *
 * @param source where they come from, for errors.
 * @throws what `readPemBundle` does for the one that signs.
 */
export function readAuthorities (
  pem: string, source: string, onWarning: (warning: CertificateAuthorityWarning) => void
): Authorities {
  const [first, ...rest] = authoritiesOf(pem) as [string, ...string[]]
  const signing = readPemBundle(first, source)
  const others = rest.flatMap((part) => {
    try {
      return [readPemBundle(part, source).certificate]
    } catch (err) {
      const message = `A certificate authority that does not sign is left out: ${reasonOf(err)}`
      onWarning({ code: 'FST_PROX_CA_LEFT_OUT', message })
      return []
    }
  })
  return { signing, others }
}

/** What a new authority takes over from the one before, but for its name, which has the time behind it. */
function successorOf ({ certificate }: Bundle, now: number): NewAuthority {
  const time = ` ${new Date(now).toISOString().slice(0, 16).replace('T', ' ')}`
  const name = subjectName(certificate).replace(/ \d{4}-\d\d-\d\d \d\d:\d\d$/, '')
  return {
    name: name.slice(0, COMMON_NAME_LENGTH - time.length) + time,
    keyType: certificate.publicKey.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec',
    constraints: readConstraints(certificate)
  }
}

/**
 * Takes one step.
 *
 * @param make what the new authority is to have otherwise than the one before.
 * @returns the bundle to keep
 * @throws FST_PROX_CA_NOT_ROTATED, and what `readPemBundle` does
 */
export async function rotate (
  pem: string, step: RotationStep, source: string, make: Partial<NewAuthority>
): Promise<string> {
  const [first, second, ...rest] = authoritiesOf(pem) as [string, ...string[]]
  const signing = readPemBundle(first, source)
  if (step === 'announce') {
    if (second !== undefined) {
      throw new FST_PROX_CA_NOT_ROTATED(source, 'there is a second one already: switch to it, or drop it')
    }
    return `${pem.trimEnd()}\n${await makePemBundle({ ...successorOf(signing, Date.now()), ...make })}`
  }
  if (second === undefined) throw new FST_PROX_CA_NOT_ROTATED(source, 'there is no second one: announce one first')
  if (step === 'drop') return first
  readPemBundle(second, source)
  return [second, first, ...rest].join('')
}
