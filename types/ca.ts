/** What the certificate authority takes and keeps; nothing here knows of Fastify, sockets or HTTP. */
import type { KeyObject } from 'node:crypto'
import type { SecureContext, SecureContextOptions } from 'node:tls'

/**
 * Where a certificate authority is kept: `get` answers the PEM bundle (private key and certificate) or nothing,
 * `set` keeps it. A `Map`, a Keyv or a wrapper around Redis is one. Both may answer synchronously or with a promise.
 *
 * Where processes share a store, `set` has to leave what is there already as it is (`SET … NX` in Redis): each process
 * uses what `get` answers after its `set`.
 */
export interface CertificateStore {
  get (key: string): string | null | undefined | Promise<string | null | undefined>
  set (key: string, pem: string): unknown
}

/** A CA of the user's own, as PEM, DER or (the key) a `KeyObject`. RSA, P-256, P-384, P-521 or Ed25519. */
export interface CertificateAuthorityKeyPair {
  key: string | Buffer | KeyObject
  cert: string | Buffer
}

export interface CertificateAuthorityOptions {
  /** Common name of a CA that is made. Default `'fastify-prox https proxy CA'`. */
  name?: string
  /** PEM bundle (private key and certificate), made on first start. Default `'./ca/fastify-prox-ca.pem'`. */
  file?: string
  /** Keeps the CA in place of `file`. A new `Map()` keeps it in memory. */
  store?: CertificateStore
  /** Private key of an existing CA: PEM, DER or `KeyObject`. Needs `cert`. */
  key?: CertificateAuthorityKeyPair['key']
  /** Certificate of an existing CA: PEM or DER. Needs `key`. */
  cert?: CertificateAuthorityKeyPair['cert']
  /** Key of a CA that is made: P-256 (`'ec'`, the default) or RSA of 2048 bits (`'rsa'`). */
  keyType?: 'ec' | 'rsa'
  /**
   * What a CA that is made may sign for, as name constraints (RFC 5280 4.2.1.10): DNS names with everything under
   * them, addresses and networks: `['.test', '127.0.0.1', '10.0.0.0/8']`. Default: everything.
   */
  permit?: string[]
  /** Leaves for `*.parent` in place of the exact name, where the public suffix list allows. Default `true`. */
  wildcards?: boolean
  /** How many secure contexts are kept, about 25 KiB each. Default 1,000. */
  cacheSize?: number
  /** What else `tls.createSecureContext` takes for every leaf: `minVersion`, `ciphers` (Node's, with AES-128 first), … Not `key`, `cert`, `pfx`. */
  tls?: SecureContextOptions
}

/** The certificate of a host, ready to be served. */
export interface Leaf {
  /** DNS names, one of which may be a wildcard, or one IP address. */
  readonly names: readonly string[]
  /** PEM; behind a CA that is not a root, with the chain that a server sends. */
  readonly pem: string
  readonly notAfter: Date
  /** For `tls.TLSSocket`, `SNICallback` and the like. */
  readonly secureContext: SecureContext
  /** Whether the certificate is good for a host (RFC 9525 6.3), in any form that `leaf` takes. */
  covers (hostname: string): boolean
}

/** A certificate with a private key of its own, in PEM. */
export interface IssuedCertificate {
  readonly key: string
  /** Behind a CA that is not a root, with the chain that a server sends. */
  readonly certificate: string
}

/** A certificate authority. */
export interface CertificateAuthority {
  readonly name: string
  readonly certificatePem: string
  readonly fingerprint256: string
  leaf (host: string): Leaf | Promise<Leaf>
}
