/** Tells the operator, once, that the certificate authority ends soon. */
import { channel } from 'node:diagnostics_channel'
import type { CertificateAuthorityExpiring, CertificateAuthorityWarning } from '../../types/ca'

/** How long before its end it is told, in milliseconds: 30 days. */
const NOTICE = 30 * 86_400_000

const expiring = channel('fastify-prox:ca:expiring')

export class ExpiryNotice {
  readonly #message: CertificateAuthorityExpiring
  readonly #onWarning: (warning: CertificateAuthorityWarning) => void
  #told = false

  constructor (message: CertificateAuthorityExpiring, onWarning: (warning: CertificateAuthorityWarning) => void) {
    this.#message = message
    this.#onWarning = onWarning
  }

  /** @param now milliseconds since the epoch. */
  check (now: number): void {
    const { name, notAfter } = this.#message
    if (this.#told || now < notAfter.getTime() - NOTICE) return
    this.#told = true
    this.#onWarning({
      code: 'FST_PROX_CA_EXPIRING',
      message: `The certificate authority "${name}" ends on ${notAfter.toISOString()}: ` +
        'make a new one and have clients trust it'
    })
    expiring.publish(this.#message)
  }
}
