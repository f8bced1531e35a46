/** Takes a secret out of a stream, also where it lies across two chunks. */
import { Transform } from 'node:stream'

/** @param {string} secret */
export function scrub (secret) {
  const needle = Buffer.from(secret)
  const mask = Buffer.alloc(needle.length, '*')
  let kept = Buffer.alloc(0)
  return new Transform({
    transform (chunk, encoding, callback) {
      const bytes = Buffer.concat([kept, chunk])
      for (let at = bytes.indexOf(needle); at !== -1; at = bytes.indexOf(needle, at + 1)) mask.copy(bytes, at)
      const whole = Math.max(0, bytes.length - needle.length + 1)
      kept = bytes.subarray(whole)
      callback(null, bytes.subarray(0, whole))
    },
    flush (callback) {
      callback(null, kept)
    }
  })
}
