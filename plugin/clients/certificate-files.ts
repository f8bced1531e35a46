/**
 * Writes the certificate to files that other programs read. They are not the file that the CA is kept in: that one has
 * the private key as well.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'

/** What later versions of Node have beside what the types know. */
type NewerTls = { getCACertificates?: (type: 'system') => string[] }

export class CertificateFiles {
  readonly #certificate: string
  readonly #written = new Map<string, string>()
  #directory: string | undefined

  /** @param certificate of the CA, in PEM */
  constructor (certificate: string) {
    this.#certificate = certificate
  }

  /** The name of a file with the certificate of the CA alone. */
  certificate (): string {
    return this.#write('ca.pem', () => this.#certificate)
  }

  /** The name of a file with the certificate of the CA and the roots that this system trusts. */
  bundle (): string {
    const certificates = (): string[] => [this.#certificate, ...systemRoots()].map((pem) => `${pem.trim()}\n`)
    return this.#write('bundle.pem', () => certificates().join(''))
  }

  remove (): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true })
  }

  #write (name: string, content: () => string): string {
    const written = this.#written.get(name)
    if (written !== undefined) return written
    // Only the owner may write to it: nobody can put another CA in the place of this one.
    this.#directory ??= mkdtempSync(join(tmpdir(), 'fastify-prox-'))
    const file = join(this.#directory, name)
    writeFileSync(file, content())
    this.#written.set(name, file)
    return file
  }
}

/** The certificates, in PEM, that the system trusts; those of Node where it cannot tell or there are none. */
function systemRoots (): readonly string[] {
  const system = (tls as NewerTls).getCACertificates?.('system') ?? []
  return system.length > 0 ? system : tls.rootCertificates
}
