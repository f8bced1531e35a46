/**
 * The certificate authority: loaded or made, it answers the certificate of every host that is asked for. The parts
 * behind it: `storage` and `bundle` find the CA, `leaf-issuer` signs, `leaf-cache` keeps what was signed.
 */
import type { SecureContext } from 'node:tls'
import type * as types from '../../types/ca'
import { makePemBundle, readBundle, readPemBundle } from './bundle'
import type { Bundle } from './bundle'
import { ExpiryNotice } from './expiry-notice'
import { leafKeyOf } from './keys'
import type { LeafKey } from './keys'
import { LeafCache } from './leaf-cache'
import { LeafIssuer } from './leaf-issuer'
import { normalizeHost } from './names'
import { readOptions } from './options'
import type { Settings } from './options'
import { certificatePkcs12 } from './pkcs12'
import { FileStore, loadOrMake } from './storage'
import { subjectName } from './x509'

type OnWarning = (warning: types.CertificateAuthorityWarning) => void

const always = () => true

function emitWarning ({ code, message }: types.CertificateAuthorityWarning): void {
  process.emitWarning(message, { code })
}

/** Reads the CA from where the options say, or makes it and keeps it there. */
async function loadBundle (
  { origin, make }: Settings, onWarning: OnWarning
): Promise<{ bundle: Bundle, file: string | null }> {
  if ('key' in origin) return { bundle: readBundle(origin, 'the options ca.key and ca.cert'), file: null }
  const store = 'store' in origin ? origin.store : new FileStore(origin.file, onWarning)
  const file = store instanceof FileStore ? store.file : null
  const source = file ?? 'the store'
  const pem = await loadOrMake(store, source, () => makePemBundle(make), onWarning)
  return { bundle: readPemBundle(pem, source), file }
}

/** Has the private key in private fields, so that no serialisation of an instance shows it. */
class LoadedAuthority implements types.CertificateAuthority {
  readonly name: string
  readonly file: string | null
  readonly certificatePem: string
  readonly certificateDer: Buffer
  readonly fingerprint256: string
  readonly notAfter: Date

  readonly #issuer: LeafIssuer
  readonly #cache: LeafCache
  #pkcs12: Buffer | undefined

  private constructor (
    bundle: Bundle, settings: Settings, leafKey: LeafKey, file: string | null, onWarning: OnWarning
  ) {
    const { certificate } = bundle
    this.name = subjectName(certificate)
    this.file = file
    this.certificatePem = certificate.toString()
    this.certificateDer = certificate.raw
    this.fingerprint256 = certificate.fingerprint256
    this.notAfter = new Date(certificate.validTo)
    const { name, notAfter } = this
    const notice = new ExpiryNotice({ name, file, notAfter }, onWarning)
    this.#issuer = new LeafIssuer(bundle, settings, leafKey, name, file ?? name)
    this.#cache = new LeafCache(this.#issuer, settings.cacheSize, (now) => notice.check(now))
    const now = Date.now()
    notice.check(now)
    // The first mint of a process takes many times what the next ones do: no request should have to wait for it.
    this.#issuer.mint(['www.example.com'], now)
  }

  /**
   * Loads the CA from where it is kept, or makes it and keeps it when there is none yet.
   *
   * @param onWarning gets what the operator should know: loose permissions, a CA that ends soon. Default: a process
   * warning.
   * @throws FST_PROX_INVALID_OPTION and FST_PROX_UNKNOWN_OPTION for the options, FST_PROX_CA_… for a CA that cannot
   * be used or kept. Whatever is there stays as it is.
   * @example
   * const ca = await CertificateAuthority.load({ file: './ca/my-ca.pem' })
   */
  static async load (
    options: types.CertificateAuthorityOptions = {}, onWarning: OnWarning = emitWarning
  ): Promise<types.CertificateAuthority> {
    const settings = readOptions(options)
    const { bundle, file } = await loadBundle(settings, onWarning)
    return new LoadedAuthority(bundle, settings, await leafKeyOf(settings.leafKeyType), file, onWarning)
  }

  pkcs12 (): Buffer {
    this.#pkcs12 ??= certificatePkcs12(this.certificateDer, this.name)
    return this.#pkcs12
  }

  leaf (host: string, isWanted: () => boolean = always): types.Leaf | Promise<types.Leaf> {
    return this.#cache.leaf(host, isWanted)
  }

  async secureContext (host: string): Promise<SecureContext> {
    return (await this.leaf(host)).secureContext
  }

  async certificate (host: string): Promise<string> {
    return (await this.leaf(host)).pem
  }

  async issue (host: string): Promise<types.IssuedCertificate> {
    return await this.#issuer.issue(normalizeHost(host))
  }
}

/** One name for the class and for what it makes, whose type is the public one. */
export const CertificateAuthority = LoadedAuthority
export type CertificateAuthority = types.CertificateAuthority
