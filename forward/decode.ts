/** Content codings (RFC 9110 8.4.1): undone for routes that want plain bytes, up to a limit. */
import { pipeline, Transform } from 'node:stream'
import type { Duplex, Readable } from 'node:stream'
import * as zlib from 'node:zlib'
import { FST_PROX_DECODED_TOO_LARGE, FST_PROX_UNDECODABLE } from '../plugin/errors'

const { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } = zlib

/** In Node 22.15 and later. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: () => Duplex }

const DECODERS = new Map<string, () => Duplex>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', inflate],
  ['br', createBrotliDecompress],
  ...(createZstdDecompress === undefined ? [] : [['zstd', createZstdDecompress] as const])
])

/** Codings in the order in which they were applied, or `null` when one of them is not known. */
export function decodable (contentEncoding: string | string[]): string[] | null {
  const codings = String(contentEncoding).toLowerCase().split(',').map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity')
  return codings.every((coding) => DECODERS.has(coding)) ? codings : null
}

/** What is left of an `Accept-Encoding` when answers have to be decoded here. */
export function narrowAcceptEncoding (value: string): string {
  const kept = value.split(',').map((entry) => entry.trim())
    .filter((entry) => DECODERS.has(entry.split(';')[0]!.trim().toLowerCase()) || /^identity\b/i.test(entry))
  return kept.length === 0 ? 'identity' : kept.join(', ')
}

/** Plain bytes; the stream fails with FST_PROX_UNDECODABLE or FST_PROX_DECODED_TOO_LARGE. */
export function decode (body: Readable, codings: readonly string[], limit: number): Readable {
  let size = 0
  const limited = new Transform({
    transform (chunk: Buffer, _encoding, callback) {
      size += chunk.length
      callback(size > limit ? new FST_PROX_DECODED_TOO_LARGE(limit) : null, chunk)
    }
  })
  const decoders = [...codings].reverse().map((coding) => DECODERS.get(coding)!())
  for (const decoder of decoders) {
    decoder.on('error', (err) => limited.destroy(new FST_PROX_UNDECODABLE(codings.join(', '), err.message)))
  }
  return pipeline([body, ...decoders, limited], () => {}) as unknown as Readable
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
