/** Header fields that end at this hop and are not for a route. Every view of a request's fields shows the same. */
import type { IncomingMessage } from 'node:http'
import type { RawRequest } from '../../types/options'
import { isHttp2 } from './version'

export interface StripOptions {
  /** Keeps `Upgrade`, which the handshake of a WebSocket needs. */
  readonly keepUpgrade?: boolean
  /** Keeps `Proxy-Authorization`, for hooks that check it; `stripProxyAuthorization` takes it away when they have. */
  readonly keepProxyAuthorization?: boolean
}

/** Names of fields, in lower case. */
class FieldNames {
  readonly all: ReadonlySet<string>
  /** A bit for each of their lengths, modulo 32: most other names differ by that, and are not looked up. */
  readonly #lengths: number

  constructor (names: Iterable<string>) {
    this.all = new Set(names)
    this.#lengths = [...this.all].reduce((lengths, { length }) => lengths | 1 << length, 0)
  }

  has (name: string): boolean {
    return (this.#lengths >>> name.length & 1) === 1 && this.all.has(name.toLowerCase())
  }
}

const PROXY_AUTHORIZATION = new FieldNames(['proxy-authorization'])
const HOST = new FieldNames(['host'])

/** The fields of RFC 9110 7.6.1, and by common practice, of a connection to a proxy; `Connection` may list more. */
const PROXY_FIELDS = new FieldNames(['proxy-connection', 'keep-alive', 'proxy-authorization'])
const PROXY_FIELDS_KEEPING_AUTHORIZATION = new FieldNames(['proxy-connection', 'keep-alive'])

/** Options of a connection that are no fields, and by far the most common values. */
const CONNECTION_OPTIONS = new Set(['', 'close', 'keep-alive'])

/** Fields that frame or address the message: a `Connection` that lists them is an attack on whoever reads it next. */
const OF_THE_MESSAGE = /^(?:connection|host|transfer-encoding|trailer|expect|content-.*)$/

/** Fields in which a front proxy says who its client is: a client that lists them wants to pass for someone else. */
const OF_THE_CLIENT = /^(?:forwarded|via|x-(?:forwarded|real|remote|original)-.*|.*client.*|.*-ip)$/

/**
 * Takes the fields that end at this hop out of a request: those for proxies, and those that `Connection` lists
 * (RFC 9110 7.6.1). Takes time in proportion to the number of fields and of listed names.
 */
export function stripHopByHop (raw: RawRequest, options: StripOptions = {}): void {
  const { keepUpgrade = false, keepProxyAuthorization = false } = options
  const proxyFields = keepProxyAuthorization ? PROXY_FIELDS_KEEPING_AUTHORIZATION : PROXY_FIELDS
  const connection = raw.headers.connection?.toLowerCase()
  if (connection === undefined || CONNECTION_OPTIONS.has(connection)) return removeFields(raw, proxyFields)

  const names = new Set(proxyFields.all)
  for (const option of connection.split(',')) {
    const name = option.trim()
    if (!OF_THE_MESSAGE.test(name) && !OF_THE_CLIENT.test(name)) names.add(name)
  }
  if (keepUpgrade) names.delete('upgrade')
  if (keepProxyAuthorization) names.delete('proxy-authorization')
  removeFields(raw, new FieldNames(names))
}

/** Takes the client's credentials for the proxy out of a request: nobody behind it may see them (RFC 9110 11.7.2). */
export function stripProxyAuthorization (raw: RawRequest): void {
  removeFields(raw, PROXY_AUTHORIZATION)
}

/** Has the host of the URL win over what the client's `Host` says (RFC 9112 3.2.2). */
export function setHost (raw: RawRequest, authority: string): void {
  if (raw.headers.host === authority) return
  // HTTP/2 has `:authority`, which stays as it is.
  if (!isHttp2(raw)) {
    removeFields(raw, HOST)
    raw.rawHeaders.unshift('Host', authority)
    resetDistinct(raw)
  }
  raw.headers.host = authority
}

/** Takes userinfo out of the host that log lines show. Python's urllib sends it in `Host`, and so in `:authority`. */
export function redactHost (raw: RawRequest): void {
  const host = raw.headers.host ?? raw.headers[':authority'] as string | undefined
  if (host?.includes('@')) setHost(raw, host.slice(host.lastIndexOf('@') + 1))
}

/**
 * Removes fields from `headers`, `rawHeaders` and `headersDistinct`. Each view is searched by itself: Node 20 has
 * fields beyond the 1,000th in `rawHeaders` alone.
 */
function removeFields (raw: RawRequest, names: FieldNames): void {
  const { headers, rawHeaders } = raw
  for (const name of names.all) {
    if (headers[name] !== undefined) delete headers[name]
  }
  let kept = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (names.has(rawHeaders[i]!)) continue
    if (kept < i) {
      rawHeaders[kept] = rawHeaders[i]!
      rawHeaders[kept + 1] = rawHeaders[i + 1]!
    }
    kept += 2
  }
  if (kept === rawHeaders.length) return
  rawHeaders.length = kept
  resetDistinct(raw)
}

/**
 * Has `headersDistinct` follow `rawHeaders` as they are now. Node's own getter reads as many fields as the parser has
 * counted, and throws when there are fewer. HTTP/2 has no such view.
 */
function resetDistinct (raw: RawRequest): void {
  if ('headersDistinct' in raw) Object.defineProperty(raw, 'headersDistinct', DISTINCT)
}

/** One for all requests, so that they stay of one shape. */
const DISTINCT: PropertyDescriptor & ThisType<IncomingMessage> = {
  configurable: true,
  get () {
    const { rawHeaders } = this
    const distinct: NodeJS.Dict<string[]> = Object.create(null)
    for (let i = 0; i < rawHeaders.length; i += 2) {
      (distinct[rawHeaders[i]!.toLowerCase()] ??= []).push(rawHeaders[i + 1]!)
    }
    Object.defineProperty(this, 'headersDistinct', { configurable: true, writable: true, value: distinct })
    return distinct
  }
}
