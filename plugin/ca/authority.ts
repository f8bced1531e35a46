/**
 * The certificate authority: loaded or made, it answers the certificate of every host that is asked for. The parts
 * behind it: `storage` and `bundle` find the CA, `rotation` reads several of them, `leaf-issuer` signs, `leaf-cache`
 * keeps what was signed, and `signing` is what changes when the CA does.
 */
import { channel } from 'node:diagnostics_channel'
import type { SecureContext } from 'node:tls'
import type * as types from '../../types/ca'
import { FST_PROX_CA_NOT_ROTATED, FST_PROX_CA_UNREADABLE, FST_PROX_INVALID_OPTION } from '../errors'
import { makePemBundle, readBundle } from './bundle'
import { leafKeyOf } from './keys'
import type { LeafKey } from './keys'
import { normalizeHost } from './names'
import { readOptions } from './options'
import type { Settings } from './options'
import { refreshPeriodically } from './refresh'
import { readAuthorities, rotate } from './rotation'
import type { Authorities } from './rotation'
import { Signing, certificatesOf } from './signing'
import { FileStore, loadOrMake, readStore, replaceIn } from './storage'

type OnWarning = (warning: types.CertificateAuthorityWarning) => void

const changed = channel('fastify-prox:ca:changed')

const always = () => true

function emitWarning ({ code, message }: types.CertificateAuthorityWarning): void {
  process.emitWarning(message, { code })
}

/** Where an authority comes from, and may come from anew. */
export interface Origin {
  /** For errors. */
  readonly source: string
  readonly file: string | null
  /** Reads what the store keeps now; `null`: the CA was handed in, and stays. */
  readonly read: (() => Promise<string | undefined>) | null
}

/** An authority as it was read. */
export interface Loaded {
  readonly authorities: Authorities
  readonly pem: string
  readonly origin: Origin
}

/** Reads the CA from where the options say, or makes it and keeps it there. */
async function loadAuthorities ({ origin, make }: Settings, onWarning: OnWarning): Promise<Loaded> {
  if ('key' in origin) {
    const source = 'the options ca.key and ca.cert'
    const authorities = { signing: readBundle(origin, source), others: [] }
    return { authorities, pem: '', origin: { source, file: null, read: null } }
  }
  const { store, source } = storeOf(origin, onWarning)
  const pem = await loadOrMake(store, source, () => makePemBundle(make), onWarning)
  const file = store instanceof FileStore ? store.file : null
  // What there is to say of the permissions of a file has been said.
  const read = async () => await readStore(file === null ? store : new FileStore(file, () => {}))
  return { authorities: readAuthorities(pem, source, onWarning), pem, origin: { source, file, read } }
}

function storeOf (
  origin: Exclude<Settings['origin'], types.CertificateAuthorityKeyPair>, onWarning: OnWarning
): { store: types.CertificateStore, source: string } {
  if ('store' in origin) return { store: origin.store, source: 'the store' }
  const store = new FileStore(origin.file, onWarning)
  return { store, source: store.file }
}

/** Has the private key in private fields, so that no serialisation of an instance shows it. */
class LoadedAuthority implements types.CertificateAuthority {
  readonly file: string | null
  readonly #origin: Origin
  readonly #settings: Settings
  readonly #leafKey: LeafKey
  readonly #onWarning: OnWarning
  readonly #stop: () => void
  #signing: Signing
  /** What the store kept when it was last read. */
  #pem: string
  /** What the operator was told last, and is not told again. */
  #complaint: string | null = null

  private constructor (
    { authorities, pem, origin }: Loaded, settings: Settings, leafKey: LeafKey, onWarning: OnWarning
  ) {
    this.file = origin.file
    this.#origin = origin
    this.#settings = settings
    this.#leafKey = leafKey
    this.#onWarning = onWarning
    this.#pem = pem
    this.#signing = this.#sign(authorities)
    this.#stop = origin.read === null ? () => {} : refreshPeriodically(this, settings.refresh)
  }

  /**
   * Loads the CA from where it is kept, or makes it and keeps it when there is none yet.
   *
   * @param onWarning gets what the operator should know: loose permissions, a CA that ends soon, another CA. Default: a
   * process warning.
   * @throws FST_PROX_INVALID_OPTION and FST_PROX_UNKNOWN_OPTION for the options, FST_PROX_CA_… for a CA that cannot
   * be used or kept. Whatever is there stays as it is.
   * @example
   * const ca = await CertificateAuthority.load({ file: './ca/my-ca.pem' })
   */
  static async load (
    options: types.CertificateAuthorityOptions = {}, onWarning: OnWarning = emitWarning
  ): Promise<types.CertificateAuthority> {
    const settings = readOptions(options)
    const loaded = await loadAuthorities(settings, onWarning)
    return new LoadedAuthority(loaded, settings, await leafKeyOf(settings.leafKeyType), onWarning)
  }

  /**
   * Takes one step of the change to a new CA, in the file or store of the options; whoever has loaded the CA from there
   * sees it within `refresh` milliseconds. `'announce'` makes a second CA, which does not sign yet, `'switch'` has the
   * other one of the two sign, `'drop'` takes away the one that does not.
   *
   * @param options those of `load`; `name`, `keyType` and `permit` of the new CA are those of the one before, unless
   * they are given.
   * @returns the certificates that are there now, the one that signs first.
   * @throws FST_PROX_CA_NOT_ROTATED when the step cannot be taken, FST_PROX_CA_NOT_WRITABLE, and what `load` throws.
   * @example
   * await CertificateAuthority.rotate({ store }, 'announce')
   */
  static async rotate (
    options: types.CertificateAuthorityOptions, step: types.RotationStep, onWarning: OnWarning = emitWarning
  ): Promise<readonly types.AuthorityCertificate[]> {
    const { origin, make } = readOptions(options)
    if ('key' in origin) {
      throw new FST_PROX_INVALID_OPTION('ca.key', 'no value for a CA that is rotated: ca.file or ca.store', 'one')
    }
    const { store, source } = storeOf(origin, onWarning)
    const pem = await readStore(store).catch((err: Error) => { throw new FST_PROX_CA_UNREADABLE(source, err.message) })
    if (pem === undefined) throw new FST_PROX_CA_NOT_ROTATED(source, 'there is none')
    const given = {
      ...(options.name !== undefined && { name: make.name }),
      ...(options.keyType !== undefined && { keyType: make.keyType }),
      ...(options.permit !== undefined && { constraints: make.constraints })
    }
    const rotated = await rotate(pem, step, source, given)
    await replaceIn(store, source, rotated)
    return certificatesOf(readAuthorities(rotated, source, onWarning))
  }

  get name (): string { return this.#signing.certificate.name }
  get certificatePem (): string { return this.#signing.certificate.pem }
  get certificateDer (): Buffer { return this.#signing.certificate.der }
  get fingerprint256 (): string { return this.#signing.certificate.fingerprint256 }
  get notAfter (): Date { return this.#signing.certificate.notAfter }
  get certificates (): readonly types.AuthorityCertificate[] { return this.#signing.certificates }
  get trustedPem (): string { return this.#signing.trustedPem }

  pkcs12 (): Buffer {
    return this.#signing.pkcs12
  }

  leaf (host: string, isWanted: () => boolean = always): types.Leaf | Promise<types.Leaf> {
    return this.#signing.cache.leaf(host, isWanted)
  }

  async secureContext (host: string): Promise<SecureContext> {
    return (await this.leaf(host)).secureContext
  }

  async certificate (host: string): Promise<string> {
    return (await this.leaf(host)).pem
  }

  async issue (host: string): Promise<types.IssuedCertificate> {
    return await this.#signing.issuer.issue(normalizeHost(host))
  }

  async refresh (): Promise<void> {
    const { read, source } = this.#origin
    if (read === null) return
    try {
      const pem = await read()
      if (pem === undefined) throw new Error('it is no longer there')
      if (pem !== this.#pem) this.#use(pem, source)
      this.#complaint = null
    } catch (err) {
      const { message } = err as Error
      if (message === this.#complaint) return
      this.#complaint = message
      const { code } = new FST_PROX_CA_UNREADABLE(source, message)
      this.#onWarning({ code, message: `The certificate authority in ${source} stays as it was loaded: ${message}` })
    }
  }

  close (): void {
    this.#stop()
  }

  #use (pem: string, source: string): void {
    const authorities = readAuthorities(pem, source, this.#onWarning)
    this.#signing = this.#sign(authorities)
    this.#pem = pem
    const { name, fingerprint256, notAfter, certificates } = this
    const others = certificates.slice(1).map(({ name, fingerprint256 }) => ({ name, fingerprint256 }))
    const besides = others.map(({ name, fingerprint256 }) => `; clients should trust "${name}" too (${fingerprint256})`)
    this.#onWarning({
      code: 'FST_PROX_CA_CHANGED',
      message: `The certificate authority "${name}" (${fingerprint256}) signs now${besides.join('')}`
    })
    if (changed.hasSubscribers) {
      const message: types.CertificateAuthorityChanged = { name, file: this.file, fingerprint256, notAfter, others }
      changed.publish(message)
    }
  }

  #sign (authorities: Authorities): Signing {
    return new Signing(authorities, this.#settings, this.#leafKey, this.file, this.#onWarning)
  }
}

/** One name for the class and for what it makes, whose type is the public one. */
export const CertificateAuthority = LoadedAuthority
export type CertificateAuthority = types.CertificateAuthority
