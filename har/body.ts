/** Collects a body while it passes: decoded, in memory up to a limit, and in a file above it. */
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream'
import { decodersOf } from '../net/codings'
import type { BodyFile, BodyFiles } from './files'

/** A body as it is recorded. */
export interface Collected {
  /** Empty when there is a file. */
  readonly bytes: Buffer
  readonly file: BodyFile | null
  /** Bytes on the wire, less transfer coding. */
  readonly received: number
  /** Bytes of the content. */
  readonly size: number
  /** Why it could not be decoded to its end. */
  readonly failure: Error | null
}

export class BodyCollector {
  readonly #files: BodyFiles
  readonly #limit: number
  readonly #codings: readonly string[]
  #decoder: { first: Duplex, done: Promise<void> } | null = null
  #chunks: Buffer[] = []
  #inMemory = 0
  #file: BodyFile | null = null
  #writing: Promise<void> | null = null
  #received = 0
  #failure: Error | null = null

  /**
   * @param limit bytes in memory
   * @param codings that are undone, in the order in which they were applied
   */
  constructor (files: BodyFiles, limit: number, codings: readonly string[]) {
    this.#files = files
    this.#limit = limit
    this.#codings = codings
  }

  /** A promise when the body is to wait. */
  write (chunk: Buffer): void | Promise<void> {
    this.#received += chunk.length
    if (this.#codings.length === 0) return this.#store(chunk)
    const { first } = this.#decoder ??= this.#startDecoder()
    return new Promise((resolve) => {
      const settle = (): void => {
        first.off('close', settle)
        resolve()
      }
      // A decoder that fails over the chunk closes without a word.
      first.once('close', settle)
      first.write(chunk, settle)
    })
  }

  /** A promise when there is something to wait for. An exchange may be cut short while a part is being written. */
  end (): Collected | Promise<Collected> {
    if (this.#decoder === null && this.#writing === null) return this.#collected()
    return this.#finish()
  }

  async #finish (): Promise<Collected> {
    this.#decoder?.first.end()
    await this.#decoder?.done
    await this.#writing
    return this.#collected()
  }

  /** Closes and removes what there is, after a failure. */
  async discard (): Promise<void> {
    this.#decoder?.first.destroy()
    await this.#writing?.catch(() => {})
    await this.#file?.discard()
  }

  #startDecoder (): { first: Duplex, done: Promise<void> } {
    const decoders = decodersOf(this.#codings)
    const last = decoders.at(-1)!
    // Each error is seen where the content is read.
    if (decoders.length > 1) pipeline(decoders, () => {})
    for (const decoder of decoders) decoder.on('error', (err) => last.destroy(err))
    const done = this.#drain(last)
    return { first: decoders[0]!, done }
  }

  async #drain (decoded: Duplex): Promise<void> {
    try {
      for await (const chunk of decoded) await this.#store(chunk as Buffer)
    } catch (err) {
      this.#failure = err as Error
    }
  }

  #store (chunk: Buffer): void | Promise<void> {
    if (this.#file !== null) return (this.#writing = this.#file.write(chunk))
    this.#chunks.push(chunk)
    this.#inMemory += chunk.length
    if (this.#inMemory > this.#limit) return (this.#writing = this.#spill())
  }

  async #spill (): Promise<void> {
    this.#file = await this.#files.create()
    const chunks = this.#chunks
    this.#chunks = []
    await this.#file.write(Buffer.concat(chunks))
  }

  #collected (): Collected {
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const size = this.#file?.size ?? bytes.length
    return { bytes, file: this.#file, received: this.#received, size, failure: this.#failure }
  }
}
