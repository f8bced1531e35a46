/** Makes the answer to a request of a capture: the content as it was sent, decoded, or a part of it. */
import type { IncomingHttpHeaders } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { decodable, decodersOf } from '../net/codings'
import type { Archived } from './content'
import { accepts, replayedFields, without } from './fields'
import { isWhole, parseContentRange, parseRange, rangeWithin } from './range'
import type { ContentRange, Range } from './range'
import { valuesOf } from './record'

export interface Answer {
  readonly statusCode: number
  readonly reason: string
  readonly rawHeaders: string[]
  /** `null`: none. */
  readonly body: Readable | Buffer | null
}

export interface AnswerOptions {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** Fields that are added. */
  readonly more: readonly string[]
  /** Opens the capture once more: how long content in chunks is shows at its end. */
  readonly again: () => Promise<Archived | null>
}

export async function answerOf (archived: Archived, { method, headers, more, again }: AnswerOptions): Promise<Answer> {
  const { head, contentType } = archived
  const status = head?.status ?? 200
  const given = head?.rawHeaders ?? ['Content-Type', contentType ?? 'application/octet-stream']
  const part = status === 206 ? parseContentRange(valuesOf(given, 'content-range')[0]) : null
  const rawHeaders = [...replayedFields(given), ...more]
  const own = { statusCode: part === null ? status : 200, reason: part === null ? head?.reason ?? '' : 'OK' }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    const length = method === 'HEAD' ? lengthOf(archived, given) : null
    await archived.close()
    if (length !== null) rawHeaders.push('Content-Length', length)
    return { ...own, rawHeaders, body: null }
  }

  const codings = decodable(valuesOf(given, 'content-encoding').join(',')) ?? []
  if (part === null && !codings.every((coding) => accepts(headers['accept-encoding'], coding))) {
    const decoded = pipeline([streamOf(archived), ...decodersOf(codings)], () => {}) as unknown as Readable
    return { ...own, rawHeaders: without(rawHeaders, 'content-encoding'), body: decoded }
  }

  const range = rangeOf(status, part, method, headers, given)
  const size = archived.size ?? (range === null ? null : await measure(again))
  if (size === null || range === null) {
    if (size !== null) rawHeaders.push('Content-Length', String(size))
    return { ...own, rawHeaders, body: bodyOf(archived) }
  }
  const begin = part?.first ?? 0
  const total = part === null ? size : part.total
  const there = bytesThere(range, total, { first: begin, last: begin + size - 1 })
  if (there === null) {
    await archived.close()
    const fields = without(rawHeaders, 'content-encoding')
    if (total !== null) fields.push('Content-Range', `bytes */${total}`)
    return { statusCode: 416, reason: 'Range Not Satisfiable', rawHeaders: fields, body: null }
  }
  const { first, last } = there
  const length = last - first + 1
  rawHeaders.push('Content-Length', String(length), 'Content-Range', `bytes ${first}-${last}/${total ?? '*'}`)
  return {
    statusCode: 206, reason: 'Partial Content', rawHeaders, body: bodyOf(archived, first - begin, length)
  }
}

/** The range that is asked for; that of the capture, where it has but a part; `null`: all of the content. */
function rangeOf (
  status: number, part: ContentRange | null, method: string, headers: IncomingHttpHeaders, given: readonly string[]
): Range | { readonly suffix: number } | null {
  const all = part !== null && !isWhole(part) ? { first: part.first, last: part.last } : null
  if (method !== 'GET' || (status !== 200 && part === null)) return all
  const condition = headers['if-range']
  const isSame = typeof condition !== 'string' ||
    [...valuesOf(given, 'etag'), ...valuesOf(given, 'last-modified')].includes(condition)
  return (isSame ? parseRange(headers.range) : null) ?? all
}

/**
 * The bytes that are asked for, as far as the capture has them; `null`: none of them. Captures are chosen so that they
 * have some, but by an index, which may say something else of a part than its record.
 * @param total bytes of the content; `null`: not known
 */
function bytesThere (asked: Range | { readonly suffix: number }, total: number | null, part: Range): Range | null {
  const unlimited = 'suffix' in asked ? null : asked
  const within = total === null ? unlimited : rangeWithin(asked, total)
  if (within === null) return null
  const [first, last] = [Math.max(within.first, part.first), Math.min(within.last, part.last)]
  return first > last ? null : { first, last }
}

/** Of the content that GET would have: what is recorded of it, or what was said then. */
function lengthOf ({ size }: Archived, given: readonly string[]): string | null {
  if (size !== null && size > 0) return String(size)
  return valuesOf(given, 'content-length').find((value) => /^\d+$/.test(value)) ?? null
}

async function measure (open: () => Promise<Archived | null>): Promise<number | null> {
  const archived = await open()
  if (archived === null) return null
  let size = 0
  for await (const chunk of archived.content()) size += chunk.length
  return size
}

function bodyOf (archived: Archived, skipped = 0, length = Infinity): Readable | Buffer {
  if (archived.bytes === null) return streamOf(archived, skipped, length)
  archived.close()
  return archived.bytes.subarray(skipped, skipped + length)
}

function streamOf (archived: Archived, skipped = 0, length = Infinity): Readable {
  const body = Readable.from(slice(archived.content(), skipped, length), { objectMode: false })
  // Whoever leaves before the first byte has begun nothing that could be ended.
  body.once('close', () => { archived.close() })
  return body
}

async function * slice (content: AsyncIterable<Buffer>, skipped: number, length: number): AsyncGenerator<Buffer> {
  let [position, left] = [0, length]
  for await (const chunk of content) {
    const part = chunk.subarray(Math.max(0, skipped - position)).subarray(0, left)
    position += chunk.length
    left -= part.length
    if (part.length > 0) yield part
    if (left === 0) return
  }
}
