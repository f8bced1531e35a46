/** What the certificate authority takes and gives; nothing here knows Fastify, sockets or HTTP. */
import type { KeyObject } from 'node:crypto'
import type { SecureContext, SecureContextOptions } from 'node:tls'

/** What a store answers for a key: the PEM bundle, or nothing when it keeps none. */
export type StoredBundle = string | Uint8Array | null | undefined

/**
 * Keeps a certificate authority: one PEM bundle (private key and certificate) under one key. Each method may answer
 * synchronously or with a promise. What it throws is reported as FST_PROX_CA_UNREADABLE (`get`) or
 * FST_PROX_CA_NOT_WRITABLE.
 *
 * Processes that share a store and start at the same time end with one authority when the store has `add`. A `Map` is
 * a store too: it keeps the authority in memory.
 *
 * @example
 * const store = {
 *   get: (key) => redis.get(key),
 *   add: (key, pem) => redis.set(key, pem, 'NX')
 * }
 */
export type CertificateStore = {
  /** Answers the bundle, as text or as its bytes, or nothing. */
  get (key: string): StoredBundle | Promise<StoredBundle>
} & ({
  /** Keeps the bundle only where nothing is kept, in one step (`SET … NX` in Redis). What it returns is not used. */
  add (key: string, pem: string): unknown
  /** Keeps the bundle in place of the one that is there: for `CertificateAuthority.rotate()`. */
  set? (key: string, pem: string): unknown
} | {
  /**
   * Keeps the bundle. Used where there is no `add`: FST_PROX_CA_STORE_WITHOUT_ADD warns that processes which start
   * together may overwrite each other's authority.
   */
  set (key: string, pem: string): unknown
})

/** A CA of the user's own, as PEM, DER or (the key) a `KeyObject`. RSA, P-256, P-384, P-521 or Ed25519. */
export interface CertificateAuthorityKeyPair {
  key: string | Buffer | KeyObject
  cert: string | Buffer
}

/** P-256 (`'ec'`) or RSA of 2048 bits (`'rsa'`). */
export type KeyType = 'ec' | 'rsa'

export interface CertificateAuthorityOptions {
  /** Common name of a CA that is made. Default `'fastify-prox https proxy CA'`. */
  name?: string
  /** Path of a PEM bundle (private key and certificate), made on first start. Default `'./ca/fastify-prox-ca.pem'`. */
  file?: string
  /** Keeps the CA in place of `file`. A new `Map()` keeps it in memory. */
  store?: CertificateStore
  /** Private key of an existing CA: PEM, DER or `KeyObject`. Needs `cert`. */
  key?: CertificateAuthorityKeyPair['key']
  /** Certificate of an existing CA: PEM or DER. Needs `key`. */
  cert?: CertificateAuthorityKeyPair['cert']
  /** Key of a CA that is made. Default `'ec'`. */
  keyType?: KeyType
  /** Key of the leaves. `'rsa'` is for clients that do not know ECDSA. Default `'ec'`. */
  leafKeyType?: KeyType
  /**
   * What a CA that is made may sign for, as name constraints (RFC 5280 4.2.1.10): DNS names with everything under
   * them, addresses and networks: `['.test', '127.0.0.1', '10.0.0.0/8']`. Default: everything.
   */
  permit?: string[]
  /** Leaves for `*.parent` in place of the exact name, where the public suffix list allows. Default `true`. */
  wildcards?: boolean
  /** How many secure contexts are kept, about 25 KiB each. Default 1,000. */
  cacheSize?: number
  /**
   * How often `file` or `store` is looked at for another CA, in milliseconds: one that was announced, or signs now.
   * 0: never. Default 60,000.
   */
  refresh?: number
  /**
   * What else `tls.createSecureContext` takes for every leaf: `minVersion`, `ciphers` (Node's, with AES-128 first), …
   * Not `key`, `cert`, `pfx`.
   */
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
  /** Whether the certificate is valid for a host (RFC 9525 6.3), in any form that `leaf` takes. */
  covers (hostname: string): boolean
}

/** A certificate with a private key of its own, in PEM, named as `https.createServer` takes them. */
export interface IssuedCertificate {
  readonly key: string
  /** Behind a CA that is not a root, with the chain that a server sends. */
  readonly cert: string
}

/** Something that the operator should know and that does not stop the start. */
export interface CertificateAuthorityWarning {
  /** `FST_PROX_CA_…` */
  readonly code: string
  readonly message: string
}

/** Message of the diagnostics channel `fastify-prox:certificate:minted`. */
export interface CertificateMinted {
  readonly names: readonly string[]
  /** The host that was asked for. */
  readonly host: string
  readonly serialNumber: string
  readonly notAfter: Date
  readonly durationMs: number
}

/** Message of the diagnostics channel `fastify-prox:certificate:reused`: a kept certificate is served again. */
export interface CertificateReused {
  readonly names: readonly string[]
  /** The host that was asked for. */
  readonly host: string
}

/** A step of the change to a new CA: make a second one; have the other one of the two sign; take that away again. */
export type RotationStep = 'announce' | 'switch' | 'drop'

/** The certificate of a CA. */
export interface AuthorityCertificate {
  /** The common name of the CA, or else its whole subject. */
  readonly name: string
  readonly pem: string
  readonly der: Buffer
  /** SHA-256 over the certificate: `AA:BB:…`. */
  readonly fingerprint256: string
  readonly notAfter: Date
}

/** Message of the diagnostics channel `fastify-prox:ca:changed`: another CA signs, or is announced, or is gone. */
export interface CertificateAuthorityChanged {
  /** Of the CA that signs now. */
  readonly name: string
  readonly file: string | null
  readonly fingerprint256: string
  readonly notAfter: Date
  /** Those that clients should trust besides. */
  readonly others: ReadonlyArray<Pick<AuthorityCertificate, 'name' | 'fingerprint256'>>
}

/** Message of the diagnostics channel `fastify-prox:ca:expiring`. */
export interface CertificateAuthorityExpiring {
  readonly name: string
  readonly file: string | null
  readonly notAfter: Date
}

/**
 * A certificate authority that mints a certificate for every host it is asked for. `CertificateAuthority.load()` makes
 * one. No property, method or serialisation of it shows the private key.
 */
export interface CertificateAuthority {
  /** The common name of the CA, or else its whole subject. */
  readonly name: string
  /** Absolute path of the PEM bundle, which holds the private key; `null` when the CA is kept elsewhere. */
  readonly file: string | null
  /** The certificate in PEM. */
  readonly certificatePem: string
  /** The certificate in DER. */
  readonly certificateDer: Buffer
  /** SHA-256 over the certificate, as `X509Certificate.fingerprint256` has it: `AA:BB:…`. */
  readonly fingerprint256: string
  /** When the certificate ends. */
  readonly notAfter: Date
  /**
   * Every certificate that clients should trust: the one that signs, whose properties are those above, and behind it
   * one that is announced and will sign, or one that has signed until a short time ago.
   */
  readonly certificates: readonly AuthorityCertificate[]
  /** All of them in one PEM text. */
  readonly trustedPem: string

  /**
   * Answers PKCS #12 with every certificate and without a private key; the password is empty.
   *
   * @example
   * writeFileSync('ca.p12', ca.pkcs12())
   */
  pkcs12 (): Buffer

  /**
   * Answers the certificate of a host: at once when one that is kept covers it, else a promise that all who ask for it
   * at the time share. It never throws.
   *
   * @param host a DNS name or an IP address, in any case, with or without trailing dot or IPv6 brackets.
   * @param isWanted asked before the certificate is minted: `false` when the caller is gone. Default: always wanted.
   * @returns the promise rejects with FST_PROX_INVALID_HOST when the host is neither, FST_PROX_HOST_NOT_PERMITTED when
   * the CA may not sign for it, FST_PROX_CA_EXPIRED when the CA has ended, FST_PROX_CA_BUSY when too many hosts wait,
   * FST_PROX_LEAF_UNWANTED when nobody who asked for it still wants it.
   * @example
   * const leaf = await ca.leaf('example.com', () => !socket.destroyed)
   */
  leaf (host: string, isWanted?: () => boolean): Leaf | Promise<Leaf>

  /**
   * Answers the secure context of a host, for `SNICallback` and `tls.TLSSocket`.
   *
   * @throws what the promise of `leaf` rejects with.
   * @example
   * tls.createServer({ SNICallback: (name, done) => { ca.secureContext(name).then((it) => done(null, it), done) } })
   */
  secureContext (host: string): Promise<SecureContext>

  /**
   * Answers the certificate of a host in PEM, as it is served.
   *
   * @throws what the promise of `leaf` rejects with.
   * @example
   * console.log(await ca.certificate('example.com'))
   */
  certificate (host: string): Promise<string>

  /**
   * Issues a certificate for another server, with a private key of its own, which is not kept.
   *
   * @throws FST_PROX_INVALID_HOST, FST_PROX_HOST_NOT_PERMITTED, FST_PROX_CA_EXPIRED
   * @example
   * const server = https.createServer(await ca.issue('localhost'))
   */
  issue (host: string): Promise<IssuedCertificate>

  /**
   * Looks now whether the file or the store has another CA; `refresh` of the options does it periodically. What goes
   * wrong is a warning, and the CA stays as it is.
   *
   * @example
   * process.on('SIGHUP', () => app.proxyCA.refresh())
   */
  refresh (): Promise<void>

  /** Looks no more. An application closes the CA that it has made from options. */
  close (): void
}
