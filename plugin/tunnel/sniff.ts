/** Tells what a client speaks in a tunnel by its first bytes: it is not the port that decides. */

export type Protocol = 'tls' | 'h2c' | 'http/1.1'

const TLS_HANDSHAKE = 0x16
const CR = 0x0d
const LF = 0x0a
/** The client connection preface of HTTP/2 (RFC 9113 3.4). */
const H2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/**
 * @param bytes one at least
 * @returns the protocol, `null` when it can be none of them, or `undefined` when the bytes do not tell yet
 */
export function sniff (bytes: Buffer): Protocol | null | undefined {
  const first = bytes.readUInt8()
  if (first === TLS_HANDSHAKE) return 'tls'
  const compared = Math.min(bytes.length, H2_PREFACE.length)
  if (bytes.compare(H2_PREFACE, 0, compared, 0, compared) === 0) {
    return compared === H2_PREFACE.length ? 'h2c' : undefined
  }
  // Whatever begins with text may be meant as HTTP/1.1: its parser says what is wrong with it, by 400.
  return (first >= 0x20 && first <= 0x7e) || first === CR || first === LF ? 'http/1.1' : null
}
