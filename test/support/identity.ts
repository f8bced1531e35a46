/** Verifies host names in certificates as a client of Node's does, on every version of Node. */
import { X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'

/** A certificate of `::1`, as far as Node's check reads it. */
const IPV6_CERTIFICATE = { subject: {}, subjectaltname: 'IP Address:::1' } as tls.PeerCertificate

/** Some versions of Node refuse every certificate of an IPv6 address (nodejs/node#64144: 22.23.0 and 24.17.0 do). */
export const KNOWS_IPV6 = tls.checkServerIdentity('::1', IPV6_CERTIFICATE) === undefined

/** Node's own check, or OpenSSL's for IPv6 addresses where Node's refuses them all. */
export function checkServerIdentity (host: string, certificate: tls.PeerCertificate): Error | undefined {
  if (KNOWS_IPV6 || !net.isIPv6(host)) return tls.checkServerIdentity(host, certificate)
  const isValid = new X509Certificate(certificate.raw).checkIP(host) !== undefined
  return isValid ? undefined : new Error(`not a certificate of ${host}`)
}
