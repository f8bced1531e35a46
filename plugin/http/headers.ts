/** Header fields that end at this hop and are not for a route. */
import type { RawRequest } from '../../types/options'

/** What RFC 9110 7.6.1 and common practice say about a proxy's own hop; `Connection` may list more. */
const PROXY_FIELDS = ['proxy-connection', 'proxy-authorization'] as const

/** Options of a connection that are no fields, and by far the most common values. */
const CONNECTION_OPTIONS = new Set(['', 'close', 'keep-alive'])

/** Fields that frame or address the message; a `Connection` that lists them is an attack on the next hop. */
const NEVER_LISTED = new Set(['connection', 'host', 'content-length', 'transfer-encoding', 'content-type', 'trailer'])

/**
 * Takes the fields that end at this hop out of a request: those for proxies, and those that `Connection` lists
 * (RFC 9110 7.6.1).
 * @param upgrade keeps `Upgrade`, which the handshake of a WebSocket needs
 */
export function stripHopByHop (raw: RawRequest, upgrade = false): void {
  const { headers } = raw
  for (const name of PROXY_FIELDS) {
    if (headers[name] !== undefined) removeField(raw, name)
  }
  if (headers['keep-alive'] !== undefined) removeField(raw, 'keep-alive')
  const connection = headers.connection?.toLowerCase()
  if (connection === undefined || CONNECTION_OPTIONS.has(connection)) return
  for (const option of connection.split(',')) {
    const name = option.trim()
    if (headers[name] === undefined || NEVER_LISTED.has(name) || (upgrade && name === 'upgrade')) continue
    removeField(raw, name)
  }
}

/** What the URL says wins over what the client's `Host` says (RFC 9112 3.2.2). */
export function setHost (raw: RawRequest, authority: string): void {
  if (raw.headers.host === authority) return
  // HTTP/2 has `:authority`, which is what it was.
  if (raw.httpVersionMajor < 2) {
    removeField(raw, 'host')
    raw.rawHeaders.unshift('Host', authority)
  }
  raw.headers.host = authority
}

function removeField (raw: RawRequest, name: string): void {
  delete raw.headers[name]
  const { rawHeaders } = raw
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (rawHeaders[i]!.toLowerCase() === name) rawHeaders.splice(i, 2)
  }
}
