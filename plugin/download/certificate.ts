/** The public side of a certificate authority: all that the downloads see of it. It has no private key. */
export interface PublicCertificate {
  /** Common name. */
  readonly name: string
  readonly certificatePem: string
  readonly certificateDer: Buffer
  /** SHA-256 of the DER, `'AA:BB:…'`. */
  readonly fingerprint256: string
  readonly notAfter: Date
  /** The certificate alone in a PKCS#12 file (RFC 7292). */
  pkcs12 (): Buffer
  /** The PEM certificate of a host, as clients get it in the handshake. Rejects for a host that the CA may not name. */
  certificate (host: string): Promise<string>
}
