/**
 * Request targets: the authority of a CONNECT (RFC 9110 9.3.6) and absolute-form (RFC 9112 3.2.2). Strict about hosts
 * and ports, since certificates and routes depend on them; path and query stay as the client wrote them.
 */
import { isIPv4, isIPv6 } from 'node:net'

/** `ws` and `wss` are what a WebSocket client asks for; they share their ports with `http` and `https`. */
export type Scheme = 'http' | 'https' | 'ws' | 'wss'

export interface Authority {
  /** Lower case, without a trailing dot; an IPv6 address in brackets, in canonical form. */
  readonly hostname: string
  readonly port: number
}

export interface AbsoluteTarget extends Authority {
  readonly scheme: Scheme
  /** Path and query, never empty. */
  readonly path: string
}

const DEFAULT_PORTS: Record<Scheme, number> = { http: 80, https: 443, ws: 80, wss: 443 }

const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{0,5}))?$/i
const REGISTERED_NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/
const ENDS_IN_A_NUMBER = /(?:^|\.)(?:\d+|0x[\da-f]*)$/
const ABSOLUTE_FORM = /^(https?|wss?):\/\/([^/?#]+)([/?][^#]*)?$/i

/** The `host:port` that a CONNECT asks for, or `null` when it is not one: the port is required, from 1 to 65535. */
export function parseAuthority (target: string): Authority | null {
  return parseHostAndPort(target, null)
}

/** The parts of an absolute-form target, or `null` when it is none, has userinfo, or names no possible host. */
export function parseAbsoluteTarget (target: string): AbsoluteTarget | null {
  const match = ABSOLUTE_FORM.exec(target)
  if (match === null) return null
  const scheme = match[1]!.toLowerCase() as Scheme
  const authority = parseHostAndPort(match[2]!, DEFAULT_PORTS[scheme])
  if (authority === null) return null
  const path = match[3] ?? '/'
  return { scheme, hostname: authority.hostname, port: authority.port, path: path[0] === '/' ? path : `/${path}` }
}

/** `host`, or `host:port` when the port is not the default of the scheme. */
export function formatAuthority (scheme: Scheme, hostname: string, port: number): string {
  return port === DEFAULT_PORTS[scheme] ? hostname : `${hostname}:${port}`
}

function parseHostAndPort (text: string, defaultPort: number | null): Authority | null {
  const match = AUTHORITY.exec(text)
  if (match === null) return null
  const hostname = parseHost(match[1]!)
  const port = match[2] ? Number(match[2]) : defaultPort
  return hostname === null || port === null || port < 1 || port > 65535 ? null : { hostname, port }
}

/**
 * A host in the form that URLs, proxy hosts and certificates share, or `null` when it can be none: a registered name of
 * letters, digits, `-` and `_` (RFC 3986 3.2.2, without percent-encoding), IPv4, or [IPv6]. A name that ends in a number
 * is an IPv4 address or nothing (as in the URL Standard).
 */
export function parseHost (text: string): string | null {
  if (text[0] === '[') {
    const address = text.slice(1, -1)
    return isIPv6(address) ? new URL(`http://[${address}]`).hostname : null
  }
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (name.length > 253 || !REGISTERED_NAME.test(name)) return null
  return isIPv4(name) || !ENDS_IN_A_NUMBER.test(name) ? name : null
}
