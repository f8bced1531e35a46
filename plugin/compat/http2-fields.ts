/** Header fields between HTTP/2 and applications that were written for HTTP/1.1. Pure functions. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'

/** The fields of a response as `stream.respond()` takes them. */
export type OutgoingFields = Record<string, string | number | string[]>

/** Names and values in one of the forms that `writeHead()` of HTTP/1.1 takes. */
export type GivenFields = Readonly<Record<string, unknown>> | readonly unknown[]

/** Fields of which HTTP/1.1 takes the first one alone (Node's documentation of `message.headers`). */
const FIRST_ONE = new Set([
  'age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host', 'if-modified-since',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'referer', 'retry-after',
  'server', 'user-agent'
])

/** What HTTP/2 forbids (RFC 9113 8.2.2), and `te`, which may say `trailers`. */
const CONNECTION_SPECIFIC = new Set([
  'connection', 'http2-settings', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade'
])

/** Lists by their grammar (RFC 9110), which `respond()` takes as one value alone. */
const JOINED = new Set(['content-encoding', 'content-language', 'if-match', 'if-none-match'])

/** What `respond()` takes one value of, without being lists. */
const SINGLE = new Set([
  'access-control-allow-credentials', 'access-control-max-age', 'access-control-request-method', 'age', 'authorization',
  'content-length', 'content-location', 'content-md5', 'content-range', 'content-type', 'date', 'dnt', 'etag',
  'expires', 'from', 'host', 'if-modified-since', 'if-range', 'if-unmodified-since', 'last-modified', 'location',
  'max-forwards', 'proxy-authorization', 'range', 'referer', 'retry-after', 'tk', 'upgrade-insecure-requests',
  'user-agent', 'x-content-type-options'
])

/**
 * The `rawHeaders` that the same request would have over HTTP/1.1: without pseudo-header fields, with `host`, one
 * `cookie` (RFC 9113 8.2.3), and `transfer-encoding` for content of unknown length, by which applications tell a
 * request with content from one without.
 */
export function rawFieldsOf (rawHeaders: readonly string[], authority: string | undefined, chunked: boolean): string[] {
  // `:authority` wins over Host (RFC 9113 8.3.1).
  const fields = authority ? ['host', authority] : []
  const { length } = rawHeaders
  let cookie = 0
  let unknownLength = chunked
  for (let i = 0; i < length; i += 2) {
    const name = rawHeaders[i]!
    if (name[0] === ':' || (authority && name === 'host')) continue
    if (name === 'cookie') {
      if (cookie > 0) {
        fields[cookie] += `; ${rawHeaders[i + 1]!}`
        continue
      }
      cookie = fields.length + 1
    } else if (unknownLength && name === 'content-length') {
      unknownLength = false
    }
    fields.push(name, rawHeaders[i + 1]!)
  }
  if (unknownLength) fields.push('transfer-encoding', 'chunked')
  return fields
}

/** The fields by name, joined as `message.headers` of HTTP/1.1 does. */
export function fieldsOf (rawFields: readonly string[]): IncomingHttpHeaders {
  // With a prototype, as over HTTP/1.1, where `headers.hasOwnProperty` works.
  const fields: IncomingHttpHeaders = {}
  for (let i = 0; i < rawFields.length; i += 2) {
    const name = rawFields[i]!
    const value = rawFields[i + 1]!
    const existing = fields[name]
    if (name === 'set-cookie') {
      if (existing === undefined) fields[name] = [value]
      else fields[name]!.push(value)
    } else if (typeof existing !== 'string') {
      fields[name] = value
    } else if (!FIRST_ONE.has(name)) {
      fields[name] = `${existing}${name === 'cookie' ? '; ' : ', '}${value}`
    }
  }
  return fields
}

/** The values by name, unjoined: `message.headersDistinct`. */
export function distinctFieldsOf (rawFields: readonly string[]): NodeJS.Dict<string[]> {
  const fields: NodeJS.Dict<string[]> = Object.create(null)
  for (let i = 0; i < rawFields.length; i += 2) {
    (fields[rawFields[i]!.toLowerCase()] ??= []).push(rawFields[i + 1]!)
  }
  return fields
}

/** @throws what `setHeader()` of HTTP/1.1 throws for a name or value that no message can hold */
export function assertField (name: string, value: unknown): void {
  validateHeaderName(name)
  validateHeaderValue(name, value as string)
}

/** Pairs of a name and a value, from an object, a flat array, or an array of pairs. */
export function pairsOf (given: GivenFields): Array<readonly [string, unknown]> {
  if (!Array.isArray(given)) return Object.entries(given)
  if (Array.isArray(given[0])) return given
  if (given.length % 2 !== 0) {
    throw Object.assign(new TypeError('The argument \'headers\' is invalid'), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  return Array.from({ length: given.length / 2 }, (_, i) => [given[2 * i], given[2 * i + 1]])
}

/**
 * Adds a field to what is sent: nothing that HTTP/2 forbids, one value where it allows one, no white space around
 * values. Of several values for a field with one value the first counts, as in Node's HTTP/1.1 client.
 * @returns the octets of the name and the values
 */
export function addField (fields: OutgoingFields, name: string, value: unknown): number {
  const key = name.toLowerCase()
  if (CONNECTION_SPECIFIC.has(key) && !(key === 'te' && value === 'trailers')) return 0
  const existing = fields[key]
  if (existing === undefined && !Array.isArray(value)) {
    const text = textOf(value)
    fields[key] = text
    return key.length + text.length
  }
  // A name may be given twice, in upper and in lower case.
  const values = (Array.isArray(value) ? value : [value]).map(textOf)
  const all = existing === undefined ? values : [existing, values].flat().map(String)
  if (all.length === 0) return 0
  fields[key] = JOINED.has(key) ? all.join(', ') : SINGLE.has(key) ? all[0]! : all
  return values.reduce((size, text) => size + key.length + text.length, 0)
}

/** What a client refuses around a value (RFC 9113 8.2.1), and what HTTP/1.1 ignores there. */
function textOf (value: unknown): string {
  const text = String(value)
  const last = text.length - 1
  const isPadded = last >= 0 && (text.charCodeAt(0) <= 32 || text.charCodeAt(last) <= 32)
  return isPadded ? text.replace(/^[ \t]+|[ \t]+$/g, '') : text
}

/** Fields that are sent as they are given: those of an informational response, and trailers. */
export function outgoingFields (given: GivenFields): OutgoingFields {
  const fields: OutgoingFields = Object.create(null)
  for (const [name, value] of pairsOf(given)) {
    assertField(name, value)
    addField(fields, name, value)
  }
  return fields
}
