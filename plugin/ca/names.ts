/**
 * From the host that a client asks for to the names that its certificate carries. Nothing that is not the name of a
 * host gets past `normalizeHost`, so nothing malformed ever reaches a certificate.
 */
import { isIP } from 'node:net'
import { getDomain } from 'tldts'
import { FST_PROX_INVALID_HOST } from '../errors'
import { bareHost, parseUnicodeHost } from '../http/host'

/** The public suffix list with its private part: `github.io` is as public as `co.uk`. */
const SUFFIX_LIST = { allowPrivateDomains: true, extractHostname: false, validateHostname: false }

/** The canonical form of a host, as `normalizeHost` has it; `null` for what is none. */
export function canonicalHost (host: string): string | null {
  const parsed = parseUnicodeHost(host)
  return parsed === null ? null : bareHost(parsed)
}

/**
 * The canonical form of a host: lower case, A-labels (RFC 5890), no trailing dot; an IPv4 address with four decimal
 * numbers; an IPv6 address as RFC 5952 writes it, without brackets.
 *
 * @param host a DNS name or an IP address; an IPv6 address with or without brackets; no port.
 * @throws FST_PROX_INVALID_HOST when it is neither.
 */
export function normalizeHost (host: string): string {
  const canonical = canonicalHost(host)
  if (canonical === null) throw new FST_PROX_INVALID_HOST(JSON.stringify(host.slice(0, 253)))
  return canonical
}

/** A name that OpenSSL lets a wildcard stand for. Underscores, and hyphens at the ends of a label, are real as well. */
const PREFERRED = /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+$/

/**
 * The names of the certificate for a host, the first one being its common name: with `wildcards`, the parent domain
 * and all that is right under it; else, and right under a public suffix, the host alone. A host that not every client
 * matches against a wildcard is named as well.
 *
 * @param host in canonical form.
 */
export function certificateNames (host: string, wildcards: boolean): string[] {
  if (!wildcards || isIP(host) !== 0) return [host]
  const registrable = getDomain(host, SUFFIX_LIST)
  if (registrable === null) return [host]
  const base = host === registrable ? host : host.slice(host.indexOf('.') + 1)
  return PREFERRED.test(host) || host === base ? [base, `*.${base}`] : [base, `*.${base}`, host]
}

/** Whether a certificate with these names is good for the host (RFC 9525 6.3); the host in canonical form. */
export function namesCover (names: readonly string[], host: string): boolean {
  if (names.includes(host)) return true
  const dot = host.indexOf('.')
  return dot !== -1 && isIP(host) === 0 && names.includes(`*${host.slice(dot)}`)
}

/** An IP address in canonical form as a certificate holds it, in network byte order (RFC 5280 4.2.1.6). */
export function addressBytes (address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':')
    groups.push(...Array<string>(8 - groups.length - last.length).fill('0'), ...last)
  }
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

/** Writes the bytes of an address in canonical form. */
export function addressText (bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  return normalizeHost(bytes.toString('hex').replace(/.{4}(?=.)/g, '$&:'))
}
