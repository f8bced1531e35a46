/** Puts a line behind the <body> tag of a page on its way: byte by byte, keeping nothing back. */
import { Transform } from 'node:stream'

const TAG = Buffer.from('<body')
const [GREATER, SLASH, DOUBLE_QUOTE, QUOTE] = Buffer.from('>/"\'')

/** Where in the page we are: so many bytes of `<body`, or one of these. */
const IN_TAG = TAG.length + 1
const IN_QUOTES = TAG.length + 2

/**
 * ASCII bytes mean the same in every encoding that pages have, but for UTF-16: the server leaves such pages alone.
 * @param {string} text plain text; what is not ASCII is written as character references
 */
export function banner (text) {
  const line = Buffer.from(`<p>${text.replace(/[^\w .,:;!?-]/gu, (character) => `&#${character.codePointAt(0)};`)}</p>`)
  let state = 0
  let quote = 0
  let done = false
  return new Transform({
    transform (chunk, encoding, callback) {
      for (let i = 0; !done && i < chunk.length; i++) {
        const byte = chunk[i]
        if (state === IN_QUOTES) {
          if (byte === quote) state = IN_TAG
        } else if (state >= TAG.length) {
          if (byte === GREATER) {
            done = true
            this.push(chunk.subarray(0, i + 1))
            this.push(line)
            return callback(null, chunk.subarray(i + 1))
          }
          if (state === TAG.length) state = isSpace(byte) || byte === SLASH ? IN_TAG : 0
          else if (byte === DOUBLE_QUOTE || byte === QUOTE) [state, quote] = [IN_QUOTES, byte]
        } else if ((state === 0 ? byte : byte | 0x20) === TAG[state]) {
          state++
        } else {
          state = byte === TAG[0] ? 1 : 0
        }
      }
      callback(null, chunk)
    }
  })
}

function isSpace (byte) {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
