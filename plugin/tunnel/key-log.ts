/** Writes the TLS secrets of tunnels to a file, for programs such as Wireshark. */
import { createWriteStream, fstatSync } from 'node:fs'
import type { WriteStream } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'

/** Who reads the file can read the traffic. */
const OWNER_ONLY = 0o600
const READABLE_BY_OTHERS = 0o044

export class KeyLog {
  readonly #stream: WriteStream

  /** @param file is made where there is none; else lines are added to it */
  constructor (file: string, log: FastifyBaseLogger) {
    this.#stream = createWriteStream(file, { flags: 'a', mode: OWNER_ONLY })
    this.#stream.on('error', (err) => log.error({ err }, 'fastify-prox: the key log cannot be written'))
    this.#stream.on('open', (fd: number) => {
      // Windows has no such modes.
      if (process.getuid === undefined || (fstatSync(fd).mode & READABLE_BY_OTHERS) === 0) return
      log.warn(`fastify-prox: others than its owner may read the key log ${file}: chmod 600 ${file}`)
    })
  }

  /** Takes a line in the format of `SSLKEYLOGFILE`. */
  readonly write = (line: Buffer): void => {
    this.#stream.write(line)
  }

  /** Resolves when everything is in the file, or will never be. */
  async close (): Promise<void> {
    // A stream that has failed tells so too.
    await new Promise<void>((resolve) => { this.#stream.end(() => resolve()) })
  }
}
