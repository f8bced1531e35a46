/**
 * Raw HTTP/2 frames (RFC 9113 4 and 6), right ones and wrong ones. Nothing is checked.
 *
 *   socket.write(Buffer.concat([PREFACE, settings(), ...headers(1, request({ ':path': '/a' })), rstStream(1, 8)]))
 */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const TYPE = {
  DATA: 0, HEADERS: 1, PRIORITY: 2, RST_STREAM: 3, SETTINGS: 4, PUSH_PROMISE: 5, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9
} as const

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4

/** What a frame may hold that nobody has allowed to be longer. */
const MAX_FRAME_SIZE = 16_384

export type Fields = Record<string, string>

export function frame (type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
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
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => literalField(name, value)))
  const frames: Buffer[] = []
  for (let at = 0; at < block.length || at === 0; at += MAX_FRAME_SIZE) {
    const last = at + MAX_FRAME_SIZE >= block.length ? END_HEADERS : 0
    const flags = at === 0 && endStream ? END_STREAM | last : last
    frames.push(frame(at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, flags, stream, block.subarray(at, at + MAX_FRAME_SIZE)))
  }
  return frames
}

export const data = (stream: number, content: string | Buffer = '', flags = 0): Buffer => frame(TYPE.DATA, flags, stream, Buffer.from(content))
export const priority = (stream: number, dependsOn = 0): Buffer => frame(TYPE.PRIORITY, 0, stream, Buffer.concat([uint32(dependsOn), Buffer.from([15])]))
export const rstStream = (stream: number, code: number): Buffer => frame(TYPE.RST_STREAM, 0, stream, uint32(code))
export const settings = (payload?: Buffer, flags = 0): Buffer => frame(TYPE.SETTINGS, flags, 0, payload)
export const ping = (payload = Buffer.alloc(8), flags = 0): Buffer => frame(TYPE.PING, flags, 0, payload)
export const goaway = (code: number, lastStream = 0): Buffer => frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastStream), uint32(code)]))
export const windowUpdate = (stream: number, increment: number): Buffer => frame(TYPE.WINDOW_UPDATE, 0, stream, uint32(increment))

export function pushPromise (stream: number, promised: number): Buffer {
  const block = Object.entries(request()).map(([name, value]) => literalField(name, value))
  return frame(TYPE.PUSH_PROMISE, END_HEADERS, stream, Buffer.concat([uint32(promised), ...block]))
}

/** A literal field that is never indexed, with a new name (RFC 7541 6.2.3), in Latin-1. */
function literalField (name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x10]), literal(name), literal(value)])
}

function literal (text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
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
