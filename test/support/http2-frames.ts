/**
 * Raw HTTP/2 frames (RFC 9113 4 and 6), right ones and wrong ones. Nothing is checked.
 *
 *   socket.write(Buffer.concat([OPENING, ...headers(1, request({ ':path': '/a' })), rstStream(1, 8)]))
 */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** The types of frames. */
export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9
} as const

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4

/** The length that a frame may have as long as SETTINGS do not allow more. */
const MAX_FRAME_SIZE = 16_384

export type Fields = Record<string, string>

/** A frame of any type. A payload that is a number is written in 32 bits. */
export function frame (
  type: number, flags: number, stream: number, payload: Buffer | number = Buffer.alloc(0)
): Buffer {
  const content = Buffer.isBuffer(payload) ? payload : uint32(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(content.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, content])
}

export function uint32 (value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

/** The fields of a GET, with others in their place or besides. */
export function request (fields: Fields = {}): Fields {
  return { ':method': 'GET', ':scheme': 'http', ':authority': 'a.test', ':path': '/', ...fields }
}

/** HEADERS that end the stream, if not told otherwise, and as many CONTINUATION frames as it takes. */
export function headers (stream: number, fields: Fields, { endStream = true } = {}): Buffer[] {
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literal(name, value)))
  const frames: Buffer[] = []
  for (let at = 0; at < block.length || at === 0; at += MAX_FRAME_SIZE) {
    const end = at + MAX_FRAME_SIZE
    const type = at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION
    const last = end >= block.length ? END_HEADERS : 0
    const flags = at === 0 && endStream ? END_STREAM | last : last
    frames.push(frame(type, flags, stream, block.subarray(at, end)))
  }
  return frames
}

export function data (stream: number, content: string | Buffer = '', flags = 0): Buffer {
  return frame(TYPE.DATA, flags, stream, Buffer.from(content))
}

export function priority (stream: number, dependsOn = 0): Buffer {
  const weight = Buffer.from([15])
  return frame(TYPE.PRIORITY, 0, stream, Buffer.concat([uint32(dependsOn), weight]))
}

export function rstStream (stream: number, code: number): Buffer {
  return frame(TYPE.RST_STREAM, 0, stream, code)
}

export function settings (payload?: Buffer, flags = 0): Buffer {
  return frame(TYPE.SETTINGS, flags, 0, payload)
}

export function ping (payload = Buffer.alloc(8), flags = 0): Buffer {
  return frame(TYPE.PING, flags, 0, payload)
}

export function goaway (code: number, lastStream = 0): Buffer {
  return frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastStream), uint32(code)]))
}

export function windowUpdate (stream: number, increment: number): Buffer {
  return frame(TYPE.WINDOW_UPDATE, 0, stream, increment)
}

export function pushPromise (stream: number, promised: number): Buffer {
  const block = Object.entries(request()).map(([name, value]) => literal(name, value))
  return frame(TYPE.PUSH_PROMISE, END_HEADERS, stream, Buffer.concat([uint32(promised), ...block]))
}

/** All that a client has to send before its first request: the preface and SETTINGS, which change nothing. */
export const OPENING = Buffer.concat([PREFACE, settings()])

/** The fields of a request for `/`, as far as it goes by their numbers in HPACK's static table (RFC 7541 A). */
export function requestBlock (method: 'GET' | 'POST', scheme: 'http' | 'https', authority: string): Buffer {
  const path = 0x84
  const indexed = [method === 'GET' ? 0x82 : 0x83, path, scheme === 'http' ? 0x86 : 0x87, 0x41]
  return Buffer.concat([Buffer.from(indexed), text(authority)])
}

/** A literal field that is never indexed, with a new name (RFC 7541 6.2.3); strings are written as Latin-1. */
export function literal (name: string, value: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x10]), text(name), text(value)])
}

/** A string without Huffman code (RFC 7541 5.2). */
function text (value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value
  return Buffer.concat([prefixedInteger(bytes.length), bytes])
}

/** An integer with a prefix of 7 bits (RFC 7541 5.1). */
function prefixedInteger (value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128)
  return Buffer.from([...bytes, rest])
}
