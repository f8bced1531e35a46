/** Content codings (RFC 9110 8.4.1): which can be decoded, and the streams that do. */
import { Transform } from 'node:stream'
import type { Duplex } from 'node:stream'
import * as zlib from 'node:zlib'

const { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } = zlib

/** In Node 22.15 and later. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Duplex }

const DECODERS = new Map<string, () => Duplex>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', inflate],
  ['br', createBrotliDecompress],
  /* c8 ignore next: which of both is a matter of Node's version */
  ...(createZstdDecompress === undefined ? [] : [['zstd', createZstdDecompress] as const])
])

/** Codings in the order in which they were applied, or `null` when one of them is not known. */
export function decodable (contentEncoding: string | string[]): string[] | null {
  const codings = String(contentEncoding).toLowerCase().split(',').map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  return codings.every(isDecodable) ? codings : null
}

export function isDecodable (coding: string): boolean {
  return DECODERS.has(coding)
}

/**
 * What is left of an `Accept-Encoding` when answers have to be decoded here.
 * @param accepts whether a coding, in lower case, is one of those that can be
 */
export function narrowAcceptEncoding (value: string, accepts: (coding: string) => boolean = isDecodable): string {
  const kept = value.split(',').map((entry) => entry.trim())
    .filter((entry) => accepts(entry.split(';')[0]!.trim().toLowerCase()) || /^identity\b/i.test(entry))
  return kept.length === 0 ? 'identity' : kept.join(', ')
}

/** A decoder for each of the codings, in the order in which they are to be undone. */
export function decodersOf (codings: readonly string[]): Duplex[] {
  return [...codings].reverse().map((coding) => DECODERS.get(coding)!())
}

/** `deflate` is zlib (RFC 9110 8.4.1.2), and by the mistake of some servers deflate without it. */
function inflate (): Duplex {
  let inner: Duplex | null = null
  return new Transform({
    transform (this: Transform, chunk: Buffer, _encoding, callback) {
      if (inner === null) {
        inner = (chunk[0]! & 0x0f) === 0x08 ? createInflate() : createInflateRaw()
        inner.on('data', (data: Buffer) => this.push(data))
        inner.on('error', (err) => this.destroy(err))
      }
      inner.write(chunk, () => callback())
    },
    flush (callback) {
      if (inner === null) return callback()
      inner.on('end', () => callback())
      inner.end()
    },
    destroy (err, callback) {
      inner?.destroy()
      callback(err)
    }
  })
}
