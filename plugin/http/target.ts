/**
 * Request targets (RFC 9112 3.2): the authority of a CONNECT, absolute-form, origin-form. Hosts and ports are read
 * strictly, since certificates and routes depend on them; path and query stay as the client wrote them.
 */
import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { RawRequest } from '../../types/options'
import { parseHost, parseIPv6 } from './host'
import { remember } from './remember'
import { isHttp2 } from './version'

export type Scheme = 'http' | 'https'

export interface Authority {
  /** In the form of URLs, as `parseHost` returns it. */
  readonly hostname: string
  readonly port: number
}

/** The part of a URL that all requests of a tunnel share. */
export interface Origin extends Authority {
  readonly scheme: Scheme
  /** The value of a Host field: `host`, or `host:port` when the port is not the default of the scheme. */
  readonly authority: string
  /** `scheme://authority` */
  readonly url: string
}

export interface AbsoluteTarget {
  readonly origin: Origin
  /** Path and query, never empty, without a fragment. */
  readonly path: string
}

const DEFAULT_PORTS: Record<Scheme, number> = { http: 80, https: 443 }

/** Host and port; the host is parsed when they are apart. */
const HOST_AND_PORT = /^(\[[0-9a-f:.]+\]|[^:]+)(?::(\d{0,5}))?$/i

/** An address without brackets in a CONNECT, as wget, Python and iOS send it. */
const BARE_ADDRESS_AND_PORT = /^([0-9a-f:.]{2,45}):(\d{1,5})$/i

const ORIGIN = /^(?:http|ws)(s?):\/\/([^/?#]+)$/i

const ASTERISK = 0x2a
const SLASH = 0x2f
const QUESTION_MARK = 0x3f
const HASH = 0x23

/**
 * What Node's HTTP/1.1 parser lets through, which is visible ASCII. Clients do send `"<>\^`{|}` and `%` without two hex
 * digits. HTTP/2 lets anything through: raw UTF-8 as Latin-1, and control bytes.
 */
const VISIBLE = /^[!-~]*$/
const INVISIBLE = /[^!-~]/g

/** Characters of a target in an error's message. */
const LONGEST_SHOWN = 200

/** What stands in a message or a log in place of userinfo. */
const REDACTED = '***'

/**
 * Parses the authority of a CONNECT (RFC 9110 9.3.6): a host and a port from 1 to 65535, which cannot be left out. An
 * IPv6 address may be without brackets: its last colon is the port's.
 */
export const parseAuthority: (target: string) => Authority | null = remember((target) => {
  const bare = BARE_ADDRESS_AND_PORT.exec(target)
  const address = bare && parseIPv6(bare[1]!)
  return address ? withPort(address, Number(bare![2])) : parseHostAndPort(target, null)
})

/**
 * Parses an absolute-form target (RFC 9112 3.2.2). `ws` and `wss` are read as `http` and `https`, which is what the
 * request of a WebSocket handshake is (RFC 6455 4.1). A fragment, which several clients send, is cut off.
 * @returns `null` when it is no such target, has userinfo, names no possible host, or has bytes that no URL can have
 */
export function parseAbsoluteTarget (target: string): AbsoluteTarget | null {
  if (!VISIBLE.test(target)) return null
  const end = endOfOrigin(target)
  const origin = parseOrigin(target.slice(0, end))
  if (origin === null) return null
  const hash = target.indexOf('#', end)
  const path = target.slice(end, hash === -1 ? target.length : hash)
  return { origin, path: path.charCodeAt(0) === SLASH ? path : `/${path}` }
}

/** Where scheme and authority of an absolute-form target end. */
function endOfOrigin (target: string): number {
  let end = target.indexOf('://') + '://'.length
  for (; end < target.length; end++) {
    const code = target.charCodeAt(end)
    if (code === SLASH || code === QUESTION_MARK || code === HASH) break
  }
  return end
}

const parseOrigin = remember((text) => {
  const match = ORIGIN.exec(text)
  if (match === null) return null
  const scheme = match[1] === '' ? 'http' : 'https'
  const authority = parseHostAndPort(match[2]!, DEFAULT_PORTS[scheme])
  return authority && originOf(scheme, authority.hostname, authority.port)
})

/**
 * Parses an origin-form target (RFC 9112 3.2.1) or a `:path` (RFC 9113 8.3.1): path and query, without a fragment.
 * @returns `null` when it does not begin with `/`, or has bytes that no URL can have
 */
export function parsePath (target: string): string | null {
  if (target[0] !== '/' || !VISIBLE.test(target)) return null
  const hash = target.indexOf('#')
  return hash === -1 ? target : target.slice(0, hash)
}

/** Whether a request target is in absolute-form, as far as its first byte tells: neither `/path` nor `*`. */
export function isAbsoluteForm (target: string): boolean {
  const first = target.charCodeAt(0)
  return first !== SLASH && first !== ASTERISK
}

/**
 * The URL that a client asks a proxy for: the request target, when it is in absolute-form (RFC 9112 3.2.2), or over
 * HTTP/2 what the pseudo-header fields say (RFC 9113 8.3.1), when a client asks over TLS for an `http:` URL.
 * @returns `null` when the request is for this server itself
 */
export function proxiedUrl (raw: RawRequest): string | null {
  const url = raw.url!
  if (isAbsoluteForm(url)) return url
  if (!isHttp2(raw)) return null
  const { scheme, authority, socket }: Http2ServerRequest = raw
  return scheme === 'http' && (socket as TLSSocket).encrypted ? `http://${authority}${url === '*' ? '' : url}` : null
}

/** `host`, or `host:port` when the port is not the default of the scheme. */
export function formatAuthority (scheme: Scheme, hostname: string, port: number): string {
  return port === DEFAULT_PORTS[scheme] ? hostname : `${hostname}:${port}`
}

export function originOf (scheme: Scheme, hostname: string, port: number): Origin {
  const authority = formatAuthority(scheme, hostname, port)
  return { scheme, hostname, port, authority, url: `${scheme}://${authority}` }
}

/**
 * A target or an authority as it may be logged: without userinfo, a user's password for instance. Where the authority
 * is not well-formed, a password with `/` in it say, all up to the last `@` is taken for userinfo.
 */
export function redactUserinfo (target: string): string {
  const end = target.lastIndexOf('@')
  if (end === -1) return target
  const begin = /^(?:[a-z][a-z0-9+.-]{0,20}:\/\/)?/i.exec(target)![0].length
  const authority = begin === 0 ? target : /^[^/?#]*/.exec(target.slice(begin))![0]
  // The `@` is in the path or the query.
  if (target[0] === '/' || parseHostAndPort(authority, 1) !== null) return target
  return target.slice(0, begin) + REDACTED + target.slice(end)
}

/** A target as an error's message shows it: without userinfo, in printable ASCII, and not long. */
export function redactTarget (target: string): string {
  const text = redactUserinfo(target).slice(0, LONGEST_SHOWN + 1).replace(INVISIBLE, '?')
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text
}

function parseHostAndPort (text: string, defaultPort: number | null): Authority | null {
  const match = HOST_AND_PORT.exec(text)
  const hostname = match && parseHost(match[1]!)
  const port = match?.[2] ? Number(match[2]) : defaultPort
  return hostname === null || port === null ? null : withPort(hostname, port)
}

function withPort (hostname: string, port: number): Authority | null {
  return port >= 1 && port <= 65535 ? { hostname, port } : null
}
