/**
 * Writes the certificates of the CA to files that other programs read. They are not the file that the CA is kept in:
 * that one has the private key as well.
 */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'

/** What later versions of Node have beside what the types know. */
type NewerTls = { getCACertificates?: (type: 'system') => string[] }

export class CertificateFiles {
  readonly #trusted: () => string
  readonly #written = new Map<string, { readonly file: string, readonly trusted: string }>()
  #directory: string | undefined

  /** @param trusted answers what to trust now, in PEM */
  constructor (trusted: () => string) {
    this.#trusted = trusted
  }

  /** The name of a file with the certificates of the CA alone. */
  certificate (): string {
    return this.#write('ca.pem', (trusted) => trusted)
  }

  /** The name of a file with the certificates of the CA and the roots that this system trusts. */
  bundle (): string {
    const pem = (trusted: string): string => [trusted, ...systemRoots()].map((pem) => `${pem.trim()}\n`).join('')
    return this.#write('bundle.pem', pem)
  }

  remove (): void {
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true })
  }

  #write (name: string, content: (trusted: string) => string): string {
    const trusted = this.#trusted()
    const written = this.#written.get(name)
    if (written?.trusted === trusted) return written.file
    // Only the owner may write to it: nobody can put another CA in the place of this one.
    this.#directory ??= mkdtempSync(join(tmpdir(), 'fastify-prox-'))
    const file = join(this.#directory, name)
    // Programs that run may be reading the one that is there.
    writeFileSync(`${file}.new`, content(trusted))
    renameSync(`${file}.new`, file)
    this.#written.set(name, { file, trusted })
    return file
  }
}

/** The certificates, in PEM, that the system trusts; those of Node where it cannot tell or there are none. */
function systemRoots (): readonly string[] {
  const system = (tls as NewerTls).getCACertificates?.('system') ?? []
  return system.length > 0 ? system : tls.rootCertificates
}
