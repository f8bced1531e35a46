/** Reads the heads of WARC records, of versions 0.17 to 1.1, and of the HTTP responses in them. */
import type { ByteReader } from './bytes'

/** Bytes of a head. */
const HEAD_LIMIT = 1024 * 1024

export interface RecordHead {
  readonly type: string
  /** By lower-case name; the first of each. */
  readonly fields: ReadonlyMap<string, string>
  /** Bytes of the block. */
  readonly length: number
}

/** The head of a response. */
export interface ResponseHead {
  readonly status: number
  readonly reason: string
  /** Names and values by turns, in order. */
  readonly rawHeaders: readonly string[]
  /** Bytes of it. */
  readonly size: number
}

const VERSION = /^WARC\/(?:0\.1[78]|1\.[01])$/

/** `null`: what is there is no record. */
export async function readRecordHead (reader: ByteReader): Promise<RecordHead | null> {
  const bytes = await reader.head(HEAD_LIMIT)
  if (bytes === null) return null
  const [version, ...lines] = unfold(bytes.toString('utf8'))
  if (!VERSION.test(version!)) return null
  const fields = new Map<string, string>()
  for (const [name, value] of lines.map(fieldOf)) if (!fields.has(name)) fields.set(name, value)
  const length = fields.get('content-length') ?? ''
  if (!/^\d{1,15}$/.test(length)) return null
  return { type: fields.get('warc-type') ?? '', fields, length: Number(length) }
}

const STATUS_LINE = /^HTTP\/\d(?:\.\d)? +(\d{3})(?: (.*))?$/

/** `null`: what is there is no response of HTTP. */
export async function readResponseHead (reader: ByteReader, length: number): Promise<ResponseHead | null> {
  const bytes = await reader.head(Math.min(HEAD_LIMIT, length))
  if (bytes === null) return null
  const [statusLine, ...lines] = unfold(bytes.toString('latin1'))
  const match = STATUS_LINE.exec(statusLine!)
  if (match === null) return null
  const rawHeaders: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon > 0) rawHeaders.push(line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  return { status: Number(match[1]), reason: match[2] ?? '', rawHeaders, size: bytes.length }
}

/** The values of a field. */
export function valuesOf (rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_value, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name)
}

/** Lines, with those that go on where one has ended (RFC 9112 5.2). */
function unfold (head: string): string[] {
  return head.replace(/\r?\n[ \t]+/g, ' ').trimEnd().split(/\r?\n/)
}

function fieldOf (line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  return colon === -1 ? [line, ''] : [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]
}
