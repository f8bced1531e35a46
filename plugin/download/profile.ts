/** An Apple configuration profile with a "Certificates" payload for each CA certificate. */
import { createHash } from 'node:crypto'
import type { PublicCertificate, TrustedCertificate } from './certificate'
import type { Markup } from './text'
import { markup } from './text'

/** A UUID that follows from the certificates (RFC 9562 5.8), so that a second install replaces the first. */
function stableUuid (der: Buffer, purpose: string): string {
  const bytes = createHash('sha256').update(purpose).update(der).digest().subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-').toUpperCase()
}

/** The profile as an XML property list. */
export function appleProfile (ca: PublicCertificate, host: string): string {
  const profile = stableUuid(Buffer.concat(ca.certificates.map(({ der }) => der)), 'profile')
  return markup`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>PayloadType</key>
  <string>Configuration</string>
  <key>PayloadVersion</key>
  <integer>1</integer>
  <key>PayloadIdentifier</key>
  <string>fastify-prox.${profile}</string>
  <key>PayloadUUID</key>
  <string>${profile}</string>
  <key>PayloadDisplayName</key>
  <string>${ca.name}</string>
  <key>PayloadOrganization</key>
  <string>${host}</string>
  <key>PayloadDescription</key>
  <string>The certificate authority of the proxy ${host}. SHA-256 ${ca.fingerprint256}</string>
  <key>PayloadRemovalDisallowed</key>
  <false/>
  <key>PayloadContent</key>
  <array>
${ca.certificates.map((certificate) => payload(certificate, profile))}  </array>
</dict>
</plist>
`.toString()
}

function payload ({ name, der }: TrustedCertificate, profile: string): Markup {
  const uuid = stableUuid(der, 'certificate')
  return markup`    <dict>
      <key>PayloadType</key>
      <string>com.apple.security.root</string>
      <key>PayloadVersion</key>
      <integer>1</integer>
      <key>PayloadIdentifier</key>
      <string>fastify-prox.${profile}.${uuid}</string>
      <key>PayloadUUID</key>
      <string>${uuid}</string>
      <key>PayloadDisplayName</key>
      <string>${name}</string>
      <key>PayloadCertificateFileName</key>
      <string>fastify-prox-ca.cer</string>
      <key>PayloadContent</key>
      <data>${der.toString('base64')}</data>
    </dict>
`
}
