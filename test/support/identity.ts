/** What a client of Node's does to verify whom it talks to. */
import { X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'

/** Some versions of Node refuse every certificate of an IPv6 address (nodejs/node#64144: 22.23.0 and 24.17.0 do). */
export const KNOWS_IPV6 = tls.checkServerIdentity('::1', { subject: {}, subjectaltname: 'IP Address:::1' } as tls.PeerCertificate) === undefined

/** Node's own check, where it can do it. */
export function checkServerIdentity (host: string, certificate: tls.PeerCertificate): Error | undefined {
  if (KNOWS_IPV6 || !net.isIPv6(host)) return tls.checkServerIdentity(host, certificate)
  return new X509Certificate(certificate.raw).checkIP(host) === undefined ? new Error(`not a certificate of ${host}`) : undefined
}
