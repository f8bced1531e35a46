/**
 * The server name in a ClientHello (RFC 8446 4.1.2, RFC 6066 3), read before OpenSSL does: Node tells it by a callback
 * which costs a new start of the handshake, and not at all when a TLS 1.2 session is resumed.
 */

const HANDSHAKE_RECORD = 0x16
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0
const RECORD_HEADER = 5
const MESSAGE_HEADER = 4

/** A ClientHello that takes more bytes than this, one record's worth, is OpenSSL's affair. */
const LONGEST = RECORD_HEADER + 16_384

/**
 * @param bytes what a client sent, the first of it being a TLS record
 * @returns the name as it was sent, `null` when there is none, or `undefined` when more bytes are needed to tell. What
 * is no ClientHello has no name: OpenSSL will say what is wrong with it.
 */
export function serverNameOf (bytes: Buffer): string | null | undefined {
  const message = handshakeMessage(bytes)
  if (message === undefined) return bytes.length < LONGEST ? undefined : null
  if (message === null) return null
  return readServerName(message)
}

/** The first handshake message, put together from the records that it came in. */
function handshakeMessage (bytes: Buffer): Buffer | null | undefined {
  const fragments: Buffer[] = []
  let at = 0
  while (bytes.length >= at + RECORD_HEADER) {
    const length = bytes.readUInt16BE(at + 3)
    // Handshake records have content (RFC 8446 5.1).
    if (bytes[at] !== HANDSHAKE_RECORD || length === 0) break
    at += RECORD_HEADER + length
    fragments.push(bytes.subarray(at - length, at))
  }
  const ended = bytes.length >= at + RECORD_HEADER
  const message = fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments)
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return null
  const end = message.length < MESSAGE_HEADER ? Infinity : MESSAGE_HEADER + message.readUIntBE(1, 3)
  if (message.length >= end) return message.subarray(MESSAGE_HEADER, end)
  return ended ? null : undefined
}

/**
 * Reads the server name from the body of a ClientHello. A length that leads past its end makes the offsets behind it
 * NaN, for which every comparison below is false: a malformed message has no name.
 */
function readServerName (hello: Buffer): string | null {
  let at = 2 + 32 // legacy_version, random
  at += 1 + uint8(hello, at) // legacy_session_id
  at += 2 + uint16(hello, at) // cipher_suites
  at += 1 + uint8(hello, at) // legacy_compression_methods
  const end = at + 2 + uint16(hello, at)
  if (!(end <= hello.length)) return null
  at += 2
  while (at + 4 <= end) {
    const type = uint16(hello, at)
    const next = at + 4 + uint16(hello, at + 2)
    if (type === SERVER_NAME) return next <= end ? readHostName(hello, at + 4, next) : null
    at = next
  }
  return null
}

function readHostName (hello: Buffer, start: number, limit: number): string | null {
  const end = start + 2 + uint16(hello, start)
  if (!(end <= limit)) return null
  let at = start + 2
  while (at + 3 <= end) {
    const next = at + 3 + uint16(hello, at + 1)
    if (hello[at] === HOST_NAME) return next <= end ? hello.toString('latin1', at + 3, next) : null
    at = next
  }
  return null
}

function uint8 (bytes: Buffer, at: number): number {
  return bytes[at] ?? NaN
}

function uint16 (bytes: Buffer, at: number): number {
  return uint8(bytes, at) * 256 + uint8(bytes, at + 1)
}
