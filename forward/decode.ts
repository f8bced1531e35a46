/** Content codings (RFC 9110 8.4.1): undone for routes that want plain bytes, up to a limit. */
import { pipeline, Transform } from 'node:stream'
import type { Readable } from 'node:stream'
import { FST_PROX_DECODED_TOO_LARGE, FST_PROX_UNDECODABLE } from '../plugin/errors'
import { decodersOf } from '../net/codings'

/** Plain bytes; the stream fails with FST_PROX_UNDECODABLE or FST_PROX_DECODED_TOO_LARGE. */
export function decode (body: Readable, codings: readonly string[], limit: number): Readable {
  let size = 0
  const limited = new Transform({
    transform (chunk: Buffer, _encoding, callback) {
      size += chunk.length
      callback(size > limit ? new FST_PROX_DECODED_TOO_LARGE(limit) : null, chunk)
    }
  })
  const decoders = decodersOf(codings)
  for (const decoder of decoders) {
    decoder.on('error', (err) => limited.destroy(new FST_PROX_UNDECODABLE(codings.join(', '), err.message)))
  }
  return pipeline([body, ...decoders, limited], () => {}) as unknown as Readable
}
