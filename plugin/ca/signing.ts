/** One state of an authority: what signs now, and every certificate that clients should trust. */
import type { X509Certificate } from 'node:crypto'
import type { AuthorityCertificate } from '../../types/ca'
import { ExpiryNotice } from './expiry-notice'
import type { LeafKey } from './keys'
import { LeafCache } from './leaf-cache'
import { LeafIssuer } from './leaf-issuer'
import type { Settings } from './options'
import { certificatesPkcs12 } from './pkcs12'
import type { Authorities } from './rotation'
import { subjectName } from './x509'

/** The certificate of the one that signs comes first. */
export function certificatesOf ({ signing, others }: Authorities): readonly AuthorityCertificate[] {
  return [signing.certificate, ...others].map(describe)
}

function describe (certificate: X509Certificate): AuthorityCertificate {
  return {
    name: subjectName(certificate),
    pem: certificate.toString(),
    der: certificate.raw,
    fingerprint256: certificate.fingerprint256,
    notAfter: new Date(certificate.validTo)
  }
}

export class Signing {
  readonly certificate: AuthorityCertificate
  /** The one that signs first. */
  readonly certificates: readonly AuthorityCertificate[]
  readonly trustedPem: string
  readonly issuer: LeafIssuer
  readonly cache: LeafCache
  #pkcs12: Buffer | undefined

  constructor (
    authorities: Authorities, settings: Settings, leafKey: LeafKey, file: string | null,
    onWarning: ConstructorParameters<typeof ExpiryNotice>[1]
  ) {
    this.certificates = certificatesOf(authorities)
    this.certificate = this.certificates[0]!
    this.trustedPem = this.certificates.map(({ pem }) => pem).join('')
    const { name, notAfter } = this.certificate
    const notice = new ExpiryNotice({ name, file, notAfter }, onWarning)
    this.issuer = new LeafIssuer(authorities.signing, settings, leafKey, name, file ?? name)
    this.cache = new LeafCache(this.issuer, settings.cacheSize, (now) => notice.check(now))
    const now = Date.now()
    notice.check(now)
    // The first mint of a process takes many times what the next ones do: no request should have to wait for it.
    this.issuer.mint(['www.example.com'], now)
  }

  get pkcs12 (): Buffer {
    this.#pkcs12 ??= certificatesPkcs12(this.certificates)
    return this.#pkcs12
  }
}
