/** Lines of CDXJ indexes, as pywb and its tools write and read them: a key, a time, and JSON. */
import type { WarcCapture } from '../types/warc'
import { valuesOf } from './record'
import type { Scanned } from './scan'
import { surt } from './surt'
import { targetUri } from './records'

export const REVISIT = 'warc/revisit'

/** A response, and where its record is. */
export interface Capture extends WarcCapture {
  /** `sha1:…`, of the payload. */
  readonly digest: string | null
  readonly filename: string
  readonly offset: number
  /** Bytes in the file; `null`: not known. */
  readonly length: number | null
  /** Of the content of the request, if it had any. */
  readonly requestDigest: string | null
  /** Whether the content is not whole. */
  readonly truncated: boolean
  /** Of a part of the content: `bytes 0-99/1000`. */
  readonly contentRange: string | null
}

/** What requests add to the captures of their responses, by the ids of both records. */
export type Requests = ReadonlyMap<string, { readonly method: string, readonly digest: string | null }>

/** Where in an index a capture belongs, and the rest of it. */
export interface Entry {
  readonly key: string
  readonly timestamp: string
  readonly fields: Readonly<Record<string, string | undefined>>
  readonly ids: readonly string[]
}

/** `null`: a record of something else than a response at a URL. */
export function entryOf (record: Scanned, filename: string): Entry | null {
  const { type, fields, http, offset, size } = record
  // Those of WARC 1.0 may have it in angle brackets.
  const uri = fields.get('warc-target-uri')?.replace(/^<(.*)>$/, '$1') ?? ''
  if (!/^https?:\/\//i.test(uri) || !['response', 'revisit', 'resource'].includes(type)) return null
  if (type === 'response' && http === null) return null
  const url = targetUri(uri)
  const rawHeaders = http?.rawHeaders ?? []
  const contentType = type === 'resource' ? fields.get('content-type') : valuesOf(rawHeaders, 'content-type')[0]
  const isPart = http?.status === 206
  return {
    key: surt(url),
    timestamp: timestampOf(fields.get('warc-date') ?? ''),
    fields: {
      url,
      mime: type === 'revisit' ? REVISIT : contentType?.split(';')[0]!.trim().toLowerCase() || 'unk',
      status: http === null ? undefined : String(http.status),
      digest: fields.get('warc-payload-digest'),
      length: String(size),
      offset: String(offset),
      filename,
      contentRange: isPart ? valuesOf(rawHeaders, 'content-range')[0] : undefined,
      truncated: fields.get('warc-truncated')
    },
    ids: idsOf(record)
  }
}

/** The ids of a record, and of the record of the other message. */
export function idsOf ({ fields }: Scanned): string[] {
  return [fields.get('warc-record-id'), fields.get('warc-concurrent-to')].filter((id) => id !== undefined)
}

export function lineOf ({ key, timestamp, fields, ids }: Entry, requests: Requests): string {
  const request = ids.map((id) => requests.get(id)).find((each) => each !== undefined)
  const more = request === undefined ? {} : { method: request.method, requestDigest: request.digest ?? undefined }
  return `${key} ${timestamp} ${JSON.stringify({ ...fields, ...more })}`
}

/** @returns `null` for what is no line of an index */
export function parseLine (line: string): Capture | null {
  const match = /^(\S+) (\d{4,17}) (\{.*\})\s*$/.exec(line)
  if (match === null) return null
  let json: Record<string, unknown>
  try {
    json = JSON.parse(match[3]!) as Record<string, unknown>
  } catch {
    return null
  }
  const text = (name: string): string | null => typeof json[name] === 'string' ? json[name] : null
  const number = (name: string): number | null => {
    const value = Number(json[name] ?? NaN)
    return Number.isSafeInteger(value) && value >= 0 ? value : null
  }
  const [url, filename, offset] = [text('url'), text('filename'), number('offset')]
  if (url === null || filename === null || offset === null) return null
  return {
    url,
    timestamp: timestampOf(match[2]!),
    status: number('status'),
    mime: text('mime') ?? 'unk',
    method: text('method') ?? 'GET',
    digest: text('digest'),
    filename,
    offset,
    length: number('length'),
    requestDigest: text('requestDigest'),
    truncated: text('truncated') !== null,
    contentRange: text('contentRange')
  }
}

/** Fourteen digits of a date, which may have fewer. */
export function timestampOf (date: string): string {
  const digits = date.replace(/\D/g, '').slice(0, 14)
  return digits + '00010101000000'.slice(digits.length)
}

/** Milliseconds since the epoch. */
export function timeOf (timestamp: string): number {
  const [year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(timestamp)!
    .slice(1).map(Number) as [number, number, number, number, number, number]
  return Date.UTC(year, month - 1, day, hour, minute, second)
}
