/**
 * The certificate authority: made or loaded, it mints a certificate for every host that is asked for and keeps the
 * secure contexts. It knows nothing of Fastify, sockets or HTTP.
 */
import { generateKeyPair, generateKeyPairSync } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { createSecureContext, DEFAULT_CIPHERS } from 'node:tls'
import type { SecureContext } from 'node:tls'
import { promisify } from 'node:util'
import { LRUCache } from 'lru-cache'
import type { CertificateAuthorityOptions, IssuedCertificate, Leaf } from '../../types/ca'
import { FST_PROX_CA_EXPIRED, FST_PROX_HOST_NOT_PERMITTED } from '../errors'
import { makePemBundle, readBundle, readPemBundle } from './bundle'
import type { Bundle } from './bundle'
import { permits } from './constraints'
import type { NameConstraints } from './constraints'
import { canonicalHost, certificateNames, namesCover, normalizeHost } from './names'
import { readOptions } from './options'
import type { Settings } from './options'
import { certificatePkcs12 } from './pkcs12'
import { FileStore, loadOrMake } from './storage'
import type { Warning } from './storage'
import { TICKET_PERIOD, ticketKeys } from './tickets'
import { Turns } from './time-sliced-queue'
import { certificatePem, leafSigner, publicKeyInfo, readConstraints } from './x509'

export type { IssuedCertificate, Leaf } from '../../types/ca'

const DAY = 86_400_000

/** A leaf is minted again that long before it ends, in milliseconds. */
const RENEWAL = DAY

/** The end of the CA is warned of that long before, in milliseconds. */
const NOTICE = 30 * DAY

/** How many hosts are remembered for each leaf that is kept: many share one, and only strings are kept of them. */
const HOSTS_OF_A_LEAF = 8

/** Sets the sessions of this package apart (RFC 5246 7.4.1.2 leaves the context to the server). */
const SESSION_CONTEXT = 'fastify-prox'

/** With SHA-256 in place of SHA-384 a new tunnel takes 5 % less CPU time, measured by the benchmark. */
const QUICKEST_CIPHER = 'TLS_AES_128_GCM_SHA256'

/** Node's own, in its order but for the quickest one, which comes first. */
const CIPHERS = DEFAULT_CIPHERS.split(':').sort((a, b) => Number(b === QUICKEST_CIPHER) - Number(a === QUICKEST_CIPHER)).join(':')

/** Of `fastify-prox:certificate:minted`. */
export interface CertificateMinted {
  readonly names: readonly string[]
  /** What was asked for. */
  readonly host: string
  readonly serialNumber: string
  readonly notAfter: Date
  readonly durationMs: number
}

/** Of `fastify-prox:ca:expiring`. */
export interface CertificateAuthorityExpiring {
  readonly name: string
  readonly file: string | null
  readonly notAfter: Date
}

const minted = channel('fastify-prox:certificate:minted')
const expiring = channel('fastify-prox:ca:expiring')

/** The key of every leaf of this process. It is never the CA's, and it is never written anywhere. */
const leafKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const LEAF_PUBLIC_KEY = publicKeyInfo(leafKey.publicKey)
/** In the form that OpenSSL reads quickest (RFC 5915). */
const LEAF_PRIVATE_KEY = leafKey.privateKey.export({ type: 'sec1', format: 'pem' })

const newKeyPair = promisify(generateKeyPair)

function emitWarning ({ code, message }: Warning): void {
  process.emitWarning(message, { code })
}

/** A leaf in the cache. */
interface Cached {
  readonly leaf: Leaf
  /** When its certificate has to be replaced; milliseconds since the epoch. */
  readonly renewal: number
  /** When its ticket keys have to be replaced. */
  readonly ticketsUntil: number
}

/**
 * A certificate authority. The private key stays within: no property, no method, no serialisation of an instance
 * shows it.
 */
export class CertificateAuthority {
  /** The common name of the CA, or else its whole subject. */
  readonly name: string
  /** Absolute path of the bundle; `null` when the CA is kept elsewhere. It holds the private key. */
  readonly file: string | null
  /** The certificate in PEM. */
  readonly certificatePem: string
  /** The certificate in DER. */
  readonly certificateDer: Buffer
  /** SHA-256 over the certificate, as `X509Certificate.fingerprint256` has it: `AA:BB:…`. */
  readonly fingerprint256: string
  /** When the certificate ends. */
  readonly notAfter: Date

  readonly #bundle: Bundle
  readonly #settings: Settings
  readonly #onWarning: (warning: Warning) => void
  readonly #sign: ReturnType<typeof leafSigner>
  readonly #constraints: NameConstraints
  readonly #tickets: ReturnType<typeof ticketKeys>
  readonly #chain: string
  readonly #cache: LRUCache<string, Cached>
  /** The key of the cache for a host, as it was spelt. */
  readonly #ids: LRUCache<string, string>
  /** Hosts that are waited for. */
  readonly #asked = new Map<string, Promise<Leaf>>()
  readonly #turns = new Turns()
  #warned = false
  #pkcs12: Buffer | undefined

  private constructor (bundle: Bundle, settings: Settings, file: string | null, onWarning: (warning: Warning) => void) {
    const { certificate, key, chain } = bundle
    const { CN } = certificate.toLegacyObject().subject
    this.name = [CN ?? certificate.subject.split('\n')].flat().join(', ')
    this.file = file
    this.certificatePem = certificate.toString()
    this.certificateDer = certificate.raw
    this.fingerprint256 = certificate.fingerprint256
    this.notAfter = new Date(certificate.validTo)
    this.#bundle = bundle
    this.#settings = settings
    this.#onWarning = onWarning
    this.#sign = leafSigner(certificate, key)
    this.#constraints = readConstraints(certificate)
    this.#tickets = ticketKeys(key)
    this.#chain = chain.map(String).join('')
    this.#cache = new LRUCache({ max: settings.cacheSize })
    this.#ids = new LRUCache({ max: settings.cacheSize * HOSTS_OF_A_LEAF })
  }

  /**
   * Loads the CA from where it is kept, or makes it and keeps it when there is none yet.
   *
   * @param onWarning gets what the operator should know: loose permissions, a CA that ends soon. Default: a process
   * warning.
   * @throws FST_PROX_INVALID_OPTION for an option that is none, FST_PROX_CA_… for a CA that cannot be used or kept.
   * Whatever is there stays as it is.
   */
  static async load (options: CertificateAuthorityOptions = {}, onWarning: (warning: Warning) => void = emitWarning): Promise<CertificateAuthority> {
    const settings = readOptions(options)
    const { origin, make } = settings
    let bundle: Bundle
    let file: string | null = null
    if ('key' in origin) {
      bundle = readBundle(origin, 'the options ca.key and ca.cert')
    } else {
      const store = 'store' in origin ? origin.store : new FileStore(origin.file, onWarning)
      if (store instanceof FileStore) file = store.file
      const source = file ?? 'the store'
      bundle = readPemBundle(await loadOrMake(store, source, async () => await makePemBundle(make)), source)
    }
    const authority = new CertificateAuthority(bundle, settings, file, onWarning)
    authority.#watchEnd(Date.now())
    authority.#warmUp()
    return authority
  }

  /**
   * PKCS #12 with the certificate and without the private key; the password is empty.
   */
  pkcs12 (): Buffer {
    this.#pkcs12 ??= certificatePkcs12(this.certificateDer, this.name)
    return this.#pkcs12
  }

  /**
   * The certificate of a host: at once when the host was asked for before, else a promise that all who ask for it at
   * the time share. It never throws.
   *
   * @param host a DNS name or an IP address, in any case, with or without trailing dot or IPv6 brackets.
   * @returns a promise may reject: with FST_PROX_INVALID_HOST when the host is neither, FST_PROX_HOST_NOT_PERMITTED
   * when the CA may not sign for it, FST_PROX_CA_EXPIRED when the CA has ended.
   */
  leaf (host: string): Leaf | Promise<Leaf> {
    const id = this.#ids.get(host)
    const leaf = id === undefined ? undefined : this.#fresh(id)
    if (leaf !== undefined) return leaf
    const asked = this.#asked.get(host)
    if (asked !== undefined) return asked
    const found = this.#turns.run(() => this.#find(host)).finally(() => { this.#asked.delete(host) })
    this.#asked.set(host, found)
    return found
  }

  /**
   * The secure context of a host, for `SNICallback` and `tls.TLSSocket`.
   *
   * @throws what the promise of `leaf` rejects with.
   */
  async secureContext (host: string): Promise<SecureContext> {
    return (await this.leaf(host)).secureContext
  }

  /**
   * The certificate of a host in PEM, as it is served.
   *
   * @throws what the promise of `leaf` rejects with.
   */
  async certificate (host: string): Promise<string> {
    return (await this.leaf(host)).pem
  }

  /**
   * A certificate for a server of its own, with a private key of its own, both in PEM. Nothing of it is kept.
   *
   * @throws what the promise of `leaf` rejects with.
   */
  async issue (host: string): Promise<IssuedCertificate> {
    const { privateKey, publicKey } = await newKeyPair('ec', { namedCurve: 'P-256' })
    const { der } = this.#sign(this.#namesFor(normalizeHost(host)), publicKeyInfo(publicKey), this.#living(Date.now()))
    return {
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificate: certificatePem(der) + this.#chain
    }
  }

  #namesFor (host: string): string[] {
    const names = certificateNames(host, this.#settings.wildcards).filter(name => permits(this.#constraints, name))
    if (namesCover(names, host)) return names
    if (permits(this.#constraints, host)) return [host]
    throw new FST_PROX_HOST_NOT_PERMITTED(this.name, host)
  }

  /** The leaf that is there, unless something of it has to be replaced. */
  #fresh (id: string): Leaf | undefined {
    const cached = this.#cache.get(id)
    const now = Date.now()
    return cached !== undefined && now < cached.renewal && now < cached.ticketsUntil ? cached.leaf : undefined
  }

  /** What `leaf` leaves to a turn, since it is about names that were not seen before. */
  #find (host: string): Leaf {
    const name = normalizeHost(host)
    const names = this.#namesFor(name)
    const id = names.join(' ')
    this.#ids.set(host, id)
    return this.#fresh(id) ?? this.#mint(id, names, name)
  }

  #mint (id: string, names: readonly string[], host: string): Leaf {
    const start = performance.now()
    const now = Date.now()
    this.#watchEnd(now)
    const cached = this.#cache.get(id)
    const tickets = this.#tickets(now)
    if (cached !== undefined && now < cached.renewal) {
      const leaf = this.#leaf(names, cached.leaf.pem, cached.leaf.notAfter, tickets.keyFor(names))
      this.#cache.set(id, { leaf, renewal: cached.renewal, ticketsUntil: tickets.until })
      return leaf
    }
    const { der, serialNumber, notAfter } = this.#sign(names, LEAF_PUBLIC_KEY, this.#living(now))
    const end = this.notAfter.getTime()
    const leaf = this.#leaf(names, certificatePem(der) + this.#chain, new Date(notAfter), tickets.keyFor(names))
    // When the CA itself ends, a new leaf would end with it.
    this.#cache.set(id, { leaf, renewal: notAfter < end ? notAfter - RENEWAL : end, ticketsUntil: tickets.until })
    if (minted.hasSubscribers) {
      const message: CertificateMinted = { names, host, serialNumber, notAfter: leaf.notAfter, durationMs: performance.now() - start }
      minted.publish(message)
    }
    return leaf
  }

  #leaf (names: readonly string[], pem: string, notAfter: Date, keys: Buffer): Leaf {
    const secureContext = createSecureContext({
      // Without a list of its own every context would get all the root certificates, which no server needs.
      ca: [],
      ticketKeys: keys,
      sessionIdContext: SESSION_CONTEXT,
      sessionTimeout: TICKET_PERIOD / 1000,
      // As in tls.createServer, where it is the default.
      honorCipherOrder: true,
      ciphers: CIPHERS,
      ...this.#settings.tls,
      key: LEAF_PRIVATE_KEY,
      cert: pem
    })
    return { names, pem, notAfter, secureContext, covers: hostname => namesCover(names, canonicalHost(hostname) ?? '') }
  }

  /** The time, as long as it is the CA's. */
  #living (now: number): number {
    const { validFrom, validTo } = this.#bundle.certificate
    if (now >= this.notAfter.getTime()) throw new FST_PROX_CA_EXPIRED(this.file ?? this.name, validFrom, validTo)
    return now
  }

  /** The first mint of a process takes many times what the next ones do: no request should have to wait for it. */
  #warmUp (): void {
    const names = certificateNames('www.example.com', true)
    const now = Date.now()
    const { der } = this.#sign(names, LEAF_PUBLIC_KEY, now)
    this.#leaf(names, certificatePem(der), new Date(now), this.#tickets(now).keyFor(names))
  }

  #watchEnd (now: number): void {
    if (this.#warned || now < this.notAfter.getTime() - NOTICE) return
    this.#warned = true
    const { name, file, notAfter } = this
    this.#onWarning({
      code: 'FST_PROX_CA_EXPIRING',
      message: `The certificate authority "${name}" ends on ${notAfter.toISOString()}: make a new one and have clients trust it`
    })
    const message: CertificateAuthorityExpiring = { name, file, notAfter }
    expiring.publish(message)
  }
}
