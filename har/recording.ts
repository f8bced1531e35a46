/** A HAR file that is being recorded: its lock, its journal, and the exchanges that are under way. */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Exchange, ExchangeSink } from '../types/forward'
import type { HarEntry } from '../types/har'
import { FST_PROX_HAR_NOT_WRITABLE, reasonOf } from '../plugin/errors'
import { BodyFiles } from './files'
import { finish, Journal } from './journal'
import { acquire, release } from './lock'
import type { Redactor } from './redact'
import { HarSink } from './sink'

const { version } = require('fastify-prox/package.json') as { version: string }
const CREATOR = { name: 'fastify-prox', version }

export interface RecordingOptions {
  readonly file: string
  readonly mode: 'record' | 'update'
  readonly redactor: Redactor
  readonly inlineLimit: number
}

export class Recording {
  readonly #options: RecordingOptions
  readonly #files: BodyFiles
  readonly #lock: string
  readonly #journal: Journal
  readonly #open = new Set<HarSink>()
  #idle: () => void = () => {}

  private constructor (options: RecordingOptions, lock: string) {
    this.#options = options
    this.#files = new BodyFiles(options.file)
    this.#lock = lock
    this.#journal = new Journal(options.file, options.mode)
  }

  /**
   * Makes whole what a recorder has left that was killed, and begins.
   * @throws FST_PROX_HAR_IN_USE, FST_PROX_HAR_NOT_WRITABLE, and FST_PROX_HAR_UNREADABLE for a file that is added to
   */
  static async start (options: RecordingOptions): Promise<Recording> {
    const { file } = options
    let lock: string | null = null
    try {
      mkdirSync(dirname(file), { recursive: true })
      lock = acquire(file)
      await finish(file, CREATOR)
      return new Recording(options, lock)
    } catch (err) {
      if (lock !== null) release(lock)
      throw ownError(file, err)
    }
  }

  sink (exchange: Exchange): ExchangeSink {
    const sink: HarSink = new HarSink(exchange, { ...this.#options, files: this.#files }, (entry) => {
      if (this.#open.delete(sink) && this.#open.size === 0) this.#idle()
      if (entry !== null) this.#append(exchange, entry)
    })
    this.#open.add(sink)
    return sink
  }

  #append ({ request }: Exchange, entry: HarEntry): void {
    try {
      this.#journal.append(entry)
    } catch (err) {
      request.log.error({ err }, 'fastify-prox: an exchange could not be recorded')
    }
  }

  /**
   * Writes the file. Exchanges that are under way are recorded as far as they have come.
   * @throws FST_PROX_HAR_NOT_WRITABLE
   */
  async close (): Promise<void> {
    const { file } = this.#options
    const idle = new Promise<void>((resolve) => { this.#idle = resolve })
    for (const sink of this.#open) sink.cut()
    if (this.#open.size > 0) await idle
    this.#journal.close()
    try {
      const referred = await finish(file, CREATOR)
      if (referred !== null) await this.#files.clean(referred)
    } catch (err) {
      throw ownError(file, err)
    } finally {
      release(this.#lock)
    }
  }
}

function ownError (file: string, err: unknown): Error {
  const { code } = err as NodeJS.ErrnoException
  if (code?.startsWith('FST_')) return err as Error
  return Object.assign(new FST_PROX_HAR_NOT_WRITABLE(file, reasonOf(err)), { cause: err })
}
