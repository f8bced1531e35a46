/** Why TLS handshakes fail, and above all: does the client trust our certificate? */

export interface HandshakeFailure {
  /** OpenSSL's, the system's or this package's error code. */
  readonly code: string
  /** The client does not accept the certificate: it sent an alert that says so, or left when it had seen it. */
  readonly refused: boolean
  /** In words, for the log. */
  readonly reason: string
}

/** Alerts about a certificate (RFC 8446 6.2), in the codes that Node makes of OpenSSL's reasons. */
const REFUSAL = /ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|ACCESS_DENIED)$/

/** TLS 1.3 clients that look at the certificate when OpenSSL is done with it, as those of Node do. */
export const LEFT_IN_HANDSHAKE: HandshakeFailure = {
  code: 'LEFT_IN_HANDSHAKE', refused: true, reason: 'the client left the TLS handshake, as one does that does not trust the CA'
}

/** The same clients with TLS 1.2, where the handshake ends before they can say no. */
export const LEFT_AFTER_HANDSHAKE: HandshakeFailure = {
  code: 'LEFT_AFTER_HANDSHAKE', refused: true, reason: 'the client left right after the TLS handshake, as one does that does not trust the CA'
}

export function describeHandshakeFailure (err: NodeJS.ErrnoException): HandshakeFailure {
  const code = err.code ?? err.message
  const refused = REFUSAL.test(code)
  return { code, refused, reason: refused ? 'the client does not trust the CA' : `TLS handshake failed: ${code}` }
}
