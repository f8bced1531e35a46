/** One of several certificates. */
export interface TrustedCertificate {
  readonly name: string
  readonly pem: string
  readonly der: Buffer
  readonly fingerprint256: string
  readonly notAfter: Date
}

/** The public side of a certificate authority: all that the downloads see of it. It has no private key. */
export interface PublicCertificate {
  /** Common name. */
  readonly name: string
  readonly certificatePem: string
  readonly certificateDer: Buffer
  /** SHA-256 of the DER, `'AA:BB:…'`. */
  readonly fingerprint256: string
  readonly notAfter: Date
  /** Those to trust: the one that signs, which is that of the properties above, and one that will, or did until now. */
  readonly certificates: readonly TrustedCertificate[]
  /** All of them in one PEM text. */
  readonly trustedPem: string
  /** All of them in one PKCS#12 file (RFC 7292), without a key. */
  pkcs12 (): Buffer
  /** The PEM certificate of a host, as clients get it in the handshake. Rejects for a host that the CA may not name. */
  certificate (host: string): Promise<string>
}
