/** Digests as WARC files have them: SHA-1, in base32 (RFC 4648 6). */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')

export function base32 (bytes: Buffer): string {
  const text = Buffer.allocUnsafe(Math.ceil(bytes.length * 8 / 5))
  let [at, bits, value] = [0, 0, 0]
  for (const byte of bytes) {
    value = (value << 8) | byte
    for (bits += 8; bits >= 5; bits -= 5) text[at++] = ALPHABET[(value >>> (bits - 5)) & 31]!
    value &= (1 << bits) - 1
  }
  if (bits > 0) text[at] = ALPHABET[(value << (5 - bits)) & 31]!
  return text.toString('latin1')
}

export function startDigest (): Hash {
  return createHash('sha1')
}

/** Ends a digest: `sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ`. */
export function digestOf (hash: Hash): string {
  return `sha1:${base32(hash.digest())}`
}
