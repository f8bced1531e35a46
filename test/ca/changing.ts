/**
 * An authority in memory that somebody else changes for another one.
 *
 *   const { ca, store, step, warnings } = await startChanging()
 *   await step('announce')                          and the authority has looked
 */
import { CertificateAuthority } from '../../plugin/ca/authority'
import { readBlocks } from '../../plugin/ca/bundle'
import type { CertificateAuthorityWarning, RotationStep } from '../../types/ca'

export interface Changing {
  readonly store: Map<string, string>
  readonly ca: CertificateAuthority
  readonly warnings: CertificateAuthorityWarning[]
  /** Takes a step as somebody else, and has the authority look. */
  step (step: RotationStep): Promise<void>
}

export async function startChanging (options: object = {}): Promise<Changing> {
  const store = new Map<string, string>()
  const warnings: CertificateAuthorityWarning[] = []
  const ca = await CertificateAuthority.load({ store, ...options }, (warning) => warnings.push(warning))
  return {
    store,
    ca,
    warnings,
    async step (step) {
      await CertificateAuthority.rotate({ store }, step)
      await ca.refresh()
    }
  }
}

/** The first private key and the first certificate of a PEM text. */
export function pairOf (pem: string): { key: string, cert: string } {
  const { keys: [key], certificates: [cert] } = readBlocks(pem)
  return { key: key!, cert: cert! }
}
