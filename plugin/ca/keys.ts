/** Key pairs, and the one that the leaves of a process share. */
import { generateKeyPair } from 'node:crypto'
import type { KeyPairKeyObjectResult } from 'node:crypto'
import { promisify } from 'node:util'
import type { KeyType } from '../../types/ca'
import { subjectKey } from './x509'
import type { SubjectKey } from './x509'

const generate = promisify(generateKeyPair)

/** Makes a key pair: P-256, or RSA of 2048 bits. */
export async function newKeyPair (type: KeyType): Promise<KeyPairKeyObjectResult> {
  return type === 'rsa'
    ? await generate('rsa', { modulusLength: 2048 })
    : await generate('ec', { namedCurve: 'P-256' })
}

/** The key pair of the leaves. It is never the CA's, and its private key is never written anywhere. */
export interface LeafKey {
  /** PEM, in the form that OpenSSL reads quickest (RFC 5915, RFC 8017). */
  readonly privateKey: string
  readonly subjectKey: SubjectKey
}

const leafKeys = new Map<KeyType, Promise<LeafKey>>()

async function makeLeafKey (type: KeyType): Promise<LeafKey> {
  const { privateKey, publicKey } = await newKeyPair(type)
  const form = type === 'rsa' ? 'pkcs1' : 'sec1'
  return {
    privateKey: privateKey.export({ type: form, format: 'pem' }).toString(),
    subjectKey: subjectKey(publicKey)
  }
}

/** The leaf key of this process, made when it is first asked for. */
export function leafKeyOf (type: KeyType): Promise<LeafKey> {
  const known = leafKeys.get(type)
  if (known !== undefined) return known
  const made = makeLeafKey(type)
  leafKeys.set(type, made)
  return made
}
