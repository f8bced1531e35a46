/** Keeps a body until its record is written: in memory up to a limit, and in a file without a name above it. */
import { randomUUID } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf, startDigest } from './digest'

/** Bytes of a body in memory. */
export const IN_MEMORY = 1024 * 1024

/** A block of a record: the head of a message, and its body. */
export interface Block {
  readonly head: Buffer
  /** The body, or what of it is in memory. */
  readonly chunks: readonly Buffer[]
  /** The body, where it is larger than what is kept in memory. */
  readonly file: FileHandle | null
  /** Bytes of the body. */
  readonly size: number
  readonly blockDigest: string
  readonly payloadDigest: string
}

export class Spool {
  readonly #directory: string
  readonly #limit: number
  readonly #head: Buffer
  readonly #block: Hash
  readonly #payload: Hash = startDigest()
  #chunks: Buffer[] = []
  #file: FileHandle | null = null
  #writing: Promise<void> | null = null
  #size = 0

  /**
   * @param head of the message
   * @param limit bytes in memory
   */
  constructor (directory: string, head: Buffer, limit = IN_MEMORY) {
    this.#directory = directory
    this.#limit = limit
    this.#head = head
    this.#block = startDigest().update(head)
  }

  /** Bytes so far. */
  get size (): number {
    return this.#size
  }

  /** A promise when the body is to wait. */
  write (chunk: Buffer): void | Promise<void> {
    this.#block.update(chunk)
    this.#payload.update(chunk)
    this.#size += chunk.length
    if (this.#file !== null) return (this.#writing = this.#file.appendFile(chunk))
    this.#chunks.push(chunk)
    if (this.#size > this.#limit) return (this.#writing = this.#spill())
  }

  /** The message may have been cut short while a part of it is being written. */
  async finish (): Promise<Block> {
    await this.#writing
    return {
      head: this.#head,
      chunks: this.#chunks,
      file: this.#file,
      size: this.#size,
      blockDigest: digestOf(this.#block),
      payloadDigest: digestOf(this.#payload)
    }
  }

  async discard (): Promise<void> {
    await this.#writing?.catch(() => {})
    await this.#file?.close()
  }

  async #spill (): Promise<void> {
    const path = join(this.#directory, `.${randomUUID()}.part`)
    this.#file = await open(path, 'wx+', 0o600)
    // Nothing is left behind by a process that is killed.
    await unlink(path)
    const chunks = this.#chunks
    this.#chunks = []
    await this.#file.appendFile(Buffer.concat(chunks))
  }
}
