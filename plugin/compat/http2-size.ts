/**
 * How much a header section of HTTP/2 can hold. Nothing limits it but the library on both sides (nghttp2: Node, curl),
 * which ends the whole connection for a section that is larger.
 */

/** Octets of a value as it is encoded: `NGHTTP2_HD_MAX_NV`. */
const MAX_VALUE = 65_536

/** Octets of a section as it is encoded: HEADERS and eight CONTINUATION of the least maximum size (RFC 9113 4.2). */
const MAX_SECTION = 9 * 16_384

/** What a field needs beside its name and its value at most: an octet for its kind, and two lengths. */
const FIELD_OVERHEAD = 12

/** Below this there is nothing to count. */
const SMALL = 60_000

/** The Huffman code of HPACK (RFC 7541, appendix B): characters by the bits that they take. Others take 20 to 30. */
const CHARACTERS: ReadonlyArray<readonly [number, string]> = [
  [5, '012aceiost'],
  [6, ' %-./3456789=A_bdfghlmnpru'],
  [7, ':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'],
  [8, '&*,;XZ'],
  [10, '!"()?'],
  [11, "'+|"],
  [12, '#>'],
  [13, '$@[]~'],
  [14, '^}'],
  [15, '<`{'],
  [19, '\\']
]

const BITS = new Uint8Array(256).fill(30)
for (const [bits, characters] of CHARACTERS) {
  for (const character of characters) BITS[character.charCodeAt(0)] = bits
}

type Fields = Readonly<Record<string, string | number | string[]>>

/** Tells whether clients can read a section with these fields. `size`: the octets of names and values, if known. */
export function canBeSent (fields: Fields, size = Infinity): boolean {
  if (size <= SMALL) return true
  let total = 0
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values].flat()) {
      const length = encodedLength(String(value))
      if (length > MAX_VALUE) return false
      total += length + name.length + FIELD_OVERHEAD
    }
  }
  return total <= MAX_SECTION
}

/** The octets that a value takes: in the Huffman code, or as it is, whichever is shorter. */
export function encodedLength (value: string): number {
  let bits = 0
  for (let i = 0; i < value.length; i++) bits += BITS[value.charCodeAt(i)]!
  return Math.min(value.length, Math.ceil(bits / 8))
}
