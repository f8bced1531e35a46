/**
 * Host names and IP addresses: the one grammar for what stands in a URL, a CONNECT, a proxy host, a TLS server name and
 * a certificate. URLs have an IPv6 address in brackets, certificates without: `parseHost` and `parseUnicodeHost` return
 * the form of URLs, `bareHost` and `urlHost` turn one into the other.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'

/** Characters of the longest name (RFC 1035 2.3.4, as text and without the dot at its end). */
const LONGEST_NAME = 253

/** Labels of letters, digits and hyphens, and the underscore that real hosts use (RFC 1123 2.1, RFC 2181 11). */
const REGISTERED_NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/

const ENDS_IN_A_NUMBER = /(?:^|\.)(?:\d+|0x[\da-f]*)$/

/** What ends a host in a URL, or may not stand in one: `domainToASCII` cuts or drops some of it. */
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\x00-\x20\x7f"#%*/:;<=>?@[\\\]^`{|}]/

const BEYOND_ASCII = /[^\0-\x7f]/

/**
 * Parses a host as clients send it, strictly: a name of letters, digits, `-` and `_` (RFC 3986 3.2.2, without
 * percent-encoding), an IPv4 address of four decimal numbers, or an IPv6 address in brackets. A name that ends in a
 * number is an IPv4 address or nothing, as in the URL Standard.
 * @returns the form of URLs: lower case, without a dot at the end, IPv6 as RFC 5952 has it; `null` for what is no host
 */
export function parseHost (text: string): string | null {
  if (text[0] === '[') return text.endsWith(']') ? parseIPv6(text.slice(1, -1)) : null
  if (text.length > LONGEST_NAME + 1) return null
  const name = (text.endsWith('.') ? text.slice(0, -1) : text).toLowerCase()
  if (name.length > LONGEST_NAME || !REGISTERED_NAME.test(name)) return null
  return isIPv4(name) || !ENDS_IN_A_NUMBER.test(name) ? name : null
}

/**
 * Parses a host as people write it, in an option for instance: what `parseHost` takes, an IPv6 address without
 * brackets, and an internationalized name, which becomes A-labels (RFC 5890).
 * @returns what `parseHost` returns
 */
export function parseUnicodeHost (text: string): string | null {
  const host = parseHost(text) ?? parseIPv6(text)
  if (host !== null || text.length > 4 * LONGEST_NAME || FORBIDDEN.test(text) || !BEYOND_ASCII.test(text)) return host
  return parseHost(domainToASCII(text))
}

/**
 * Parses the server name of a TLS handshake, which is never an address (RFC 6066 3).
 * @returns the name in the form of URLs; `null` for what is no name, which is to be taken for no server name at all:
 * clients do send addresses, ports, zones and empty labels there, and mean the host of their CONNECT
 */
export function parseServerName (text: string): string | null {
  const host = parseHost(text)
  return host === null || isAddress(host) ? null : host
}

/** Whether a host in the form of URLs is an IP address. */
export function isAddress (host: string): boolean {
  return host[0] === '[' || isIPv4(host)
}

/** The form of certificates of a host in the form of URLs. */
export function bareHost (host: string): string {
  return host[0] === '[' ? host.slice(1, -1) : host
}

/** The form of URLs of a host in the form of certificates. */
export function urlHost (host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** @returns the address in brackets; `null` for what is none, and for one with a zone, which is of one machine alone */
export function parseIPv6 (text: string): string | null {
  return isIPv6(text) && !text.includes('%') ? new URL(`http://[${text}]`).hostname : null
}
