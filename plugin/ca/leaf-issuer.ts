/** Issues leaves: decides on their names, signs them, and makes their secure contexts. It keeps none of them. */
import { DEFAULT_CIPHERS, createSecureContext } from 'node:tls'
import type { IssuedCertificate, Leaf } from '../../types/ca'
import { FST_PROX_CA_EXPIRED, FST_PROX_HOST_NOT_PERMITTED } from '../errors'
import type { Bundle } from './bundle'
import { permits } from './constraints'
import type { NameConstraints } from './constraints'
import { newKeyPair } from './keys'
import type { LeafKey } from './keys'
import { canonicalHost, certificateNames, namesCover } from './names'
import type { Settings } from './options'
import { TICKET_PERIOD, ticketKeys } from './tickets'
import { certificatePem, leafSigner, readConstraints, subjectKey } from './x509'
import type { SubjectKey } from './x509'

/** How long before its end a leaf is replaced, in milliseconds: a day. */
const RENEWAL = 86_400_000

/** Sets the TLS sessions of this package apart from those of others (RFC 5246 7.4.1.2 leaves it to the server). */
const SESSION_CONTEXT = 'fastify-prox'

/** With SHA-256 in place of SHA-384 a new tunnel takes 5 % less CPU time, measured by the benchmark. */
const QUICKEST_CIPHER = 'TLS_AES_128_GCM_SHA256'

/** Node's own, in its order but for the quickest one, which comes first. */
const CIPHERS = DEFAULT_CIPHERS.split(':')
  .sort((a, b) => Number(b === QUICKEST_CIPHER) - Number(a === QUICKEST_CIPHER))
  .join(':')

/** A leaf, and how long it can be served; times in milliseconds since the epoch. */
export interface IssuedLeaf {
  readonly leaf: Leaf
  /** When its certificate has to be replaced. */
  readonly renewAt: number
  /** When its ticket keys have to be replaced. */
  readonly ticketsUntil: number
}

/** A leaf that was minted just now. */
export interface MintedLeaf extends IssuedLeaf {
  readonly serialNumber: string
}

interface SignedPem {
  readonly pem: string
  readonly serialNumber: string
  readonly notAfter: number
}

export class LeafIssuer {
  readonly #bundle: Bundle
  readonly #settings: Settings
  readonly #key: LeafKey
  /** The name of the CA in errors. */
  readonly #name: string
  /** Where the CA is kept, for errors. */
  readonly #source: string
  readonly #sign: ReturnType<typeof leafSigner>
  readonly #constraints: NameConstraints
  readonly #tickets: ReturnType<typeof ticketKeys>
  readonly #chain: string
  readonly #notAfter: number

  constructor (bundle: Bundle, settings: Settings, key: LeafKey, name: string, source: string) {
    this.#bundle = bundle
    this.#settings = settings
    this.#key = key
    this.#name = name
    this.#source = source
    this.#sign = leafSigner(bundle.certificate, bundle.key)
    this.#constraints = readConstraints(bundle.certificate)
    this.#tickets = ticketKeys(bundle.key)
    this.#chain = bundle.chain.map(String).join('')
    this.#notAfter = Date.parse(bundle.certificate.validTo)
  }

  /**
   * The names of the certificate for a host.
   *
   * @param host in canonical form.
   * @throws FST_PROX_HOST_NOT_PERMITTED
   */
  namesFor (host: string): string[] {
    const names = certificateNames(host, this.#settings.wildcards).filter((name) => permits(this.#constraints, name))
    if (namesCover(names, host)) return names
    if (permits(this.#constraints, host)) return [host]
    throw new FST_PROX_HOST_NOT_PERMITTED(this.#name, host)
  }

  /**
   * Mints a leaf.
   *
   * @param now milliseconds since the epoch.
   * @throws FST_PROX_CA_EXPIRED
   */
  mint (names: readonly string[], now: number): MintedLeaf {
    const { pem, serialNumber, notAfter } = this.#signPem(names, this.#key.subjectKey, now)
    // When the CA itself ends, a new leaf would end with it.
    const renewAt = notAfter < this.#notAfter ? notAfter - RENEWAL : this.#notAfter
    return { ...this.#withTickets(names, pem, new Date(notAfter), now), renewAt, serialNumber }
  }

  /** Gives a leaf the ticket keys of the time. */
  renewTickets ({ leaf: { names, pem, notAfter }, renewAt }: IssuedLeaf, now: number): IssuedLeaf {
    return { ...this.#withTickets(names, pem, notAfter, now), renewAt }
  }

  /**
   * Issues a certificate with a private key of its own.
   *
   * @param host in canonical form.
   * @throws FST_PROX_HOST_NOT_PERMITTED, FST_PROX_CA_EXPIRED
   */
  async issue (host: string): Promise<IssuedCertificate> {
    const names = this.namesFor(host)
    const { privateKey, publicKey } = await newKeyPair(this.#settings.leafKeyType)
    const { pem } = this.#signPem(names, subjectKey(publicKey), Date.now())
    return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: pem }
  }

  #assertNotExpired (now: number): void {
    const { validFrom, validTo } = this.#bundle.certificate
    if (now >= this.#notAfter) throw new FST_PROX_CA_EXPIRED(this.#source, validFrom, validTo)
  }

  #signPem (names: readonly string[], key: SubjectKey, now: number): SignedPem {
    this.#assertNotExpired(now)
    const { der, serialNumber, notAfter } = this.#sign(names, key, now)
    return { pem: certificatePem(der) + this.#chain, serialNumber, notAfter }
  }

  #withTickets (
    names: readonly string[], pem: string, notAfter: Date, now: number
  ): Pick<IssuedLeaf, 'leaf' | 'ticketsUntil'> {
    const tickets = this.#tickets(now)
    const secureContext = createSecureContext({
      // Without a list of its own every context would get all the root certificates, which no server needs.
      ca: [],
      ticketKeys: tickets.keyFor(names),
      sessionIdContext: SESSION_CONTEXT,
      sessionTimeout: TICKET_PERIOD / 1000,
      // As in tls.createServer, where it is the default.
      honorCipherOrder: true,
      ciphers: CIPHERS,
      ...this.#settings.tls,
      key: this.#key.privateKey,
      cert: pem
    })
    const covers = (hostname: string) => namesCover(names, canonicalHost(hostname) ?? '')
    return { leaf: { names, pem, notAfter, secureContext, covers }, ticketsUntil: tickets.until }
  }
}
