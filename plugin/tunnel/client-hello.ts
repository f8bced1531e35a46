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
  try {
    return readServerName(new Reader(message))
  } catch (err) {
    if (err instanceof RangeError) return null
    throw err
  }
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

/** @throws RangeError where a length leads out of the message */
function readServerName (hello: Reader): string | null {
  hello.skip(2 + 32) // legacy_version, random
  hello.skip(hello.uint8()) // legacy_session_id
  hello.skip(hello.uint16()) // cipher_suites
  hello.skip(hello.uint8()) // legacy_compression_methods
  if (hello.atEnd) return null
  const extensions = hello.take(hello.uint16())
  while (!extensions.atEnd) {
    const type = extensions.uint16()
    const extension = extensions.take(extensions.uint16())
    if (type === SERVER_NAME) return readHostName(extension.take(extension.uint16()))
  }
  return null
}

function readHostName (names: Reader): string | null {
  while (!names.atEnd) {
    const type = names.uint8()
    const name = names.take(names.uint16())
    if (type === HOST_NAME) return name.text()
  }
  return null
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor (bytes: Buffer) {
    this.#bytes = bytes
  }

  get atEnd (): boolean { return this.#at >= this.#bytes.length }

  uint8 (): number {
    return this.#bytes.readUInt8(this.#forward(1))
  }

  uint16 (): number {
    return this.#bytes.readUInt16BE(this.#forward(2))
  }

  skip (length: number): void {
    this.#forward(length)
  }

  take (length: number): Reader {
    const start = this.#forward(length)
    return new Reader(this.#bytes.subarray(start, this.#at))
  }

  text (): string {
    return this.#bytes.toString('latin1')
  }

  #forward (length: number): number {
    const start = this.#at
    if (start + length > this.#bytes.length) throw new RangeError('the message is shorter than it says')
    this.#at = start + length
    return start
  }
}
