/** Keeps an exchange while it goes on, and hands it over when it has ended. */
import type {
  Exchange, ExchangeConnection, ExchangeEnd, ExchangeRequest, ExchangeResponse, ExchangeSink
} from '../types/forward'
import { connectionFields, newRecordId, requestHead, responseHead, targetUri } from './records'
import type { Fields } from './records'
import { recordable } from './request-fields'
import { Spool } from './spool'
import type { Block } from './spool'

/** An exchange that is to be written. */
export interface Captured {
  /** Of the record of the response. */
  readonly id: string
  readonly uri: string
  /** ISO 8601. */
  readonly date: string
  readonly request: Block
  readonly response: Block
  /** Fields about the connection. */
  readonly connection: Fields
  /** Why a message is not whole (ISO 28500 5.13); `null`: it is. */
  readonly requestTruncated: string | null
  readonly responseTruncated: string | null
}

export interface SinkOwner {
  /** Takes what there is to be written; `null`: there is nothing, or it could not be kept. */
  readonly ended: (captured: Captured | null) => void
  /** A promise while bodies have to wait. */
  readonly queueDrained: () => Promise<void> | undefined
}

export class WarcSink implements ExchangeSink {
  readonly #exchange: Exchange
  readonly #directory: string
  readonly #owner: SinkOwner
  #connection: Fields = []
  #request: Spool | null = null
  #response: Spool | null = null
  /** What the request says of its length: a number, `'chunked'`, or nothing. */
  #announced: string | undefined
  #over = false
  #ending: Promise<void> | null = null

  constructor (exchange: Exchange, directory: string, owner: SinkOwner) {
    this.#exchange = exchange
    this.#directory = directory
    this.#owner = owner
  }

  requestHeaders (rawHeaders: readonly string[]): string[] {
    return recordable(this.#exchange.method, rawHeaders)
  }

  request (request: ExchangeRequest, connection: ExchangeConnection): void {
    this.#connection = connectionFields(connection)
    this.#announced = announcedLength(request.rawHeaders)
    this.#request = new Spool(this.#directory, requestHead(request))
  }

  requestData (chunk: Buffer): void | Promise<void> {
    return this.#write(this.#request, chunk)
  }

  response (response: ExchangeResponse): void {
    this.#response = new Spool(this.#directory, responseHead(response))
  }

  responseData (chunk: Buffer): void | Promise<void> {
    return this.#write(this.#response, chunk)
  }

  end ({ error, timings }: ExchangeEnd): void {
    this.#ending ??= this.#end(error === null ? null : reasonOf(error), timings.requestSent !== null)
  }

  /** Ends what is under way, as far as it has come. */
  async cut (): Promise<void> {
    await (this.#ending ??= this.#end('unspecified', false))
  }

  /** Tells of what fails. */
  async #end (truncated: string | null, requestSent: boolean): Promise<void> {
    if (this.#over) return
    this.#over = true
    const [request, response] = [this.#request, this.#response]
    if (request === null || response === null) return await this.#discard()
    const { url, startedAt, request: { log } } = this.#exchange
    const whole = this.#announced === 'chunked' ? requestSent : Number(this.#announced ?? 0) === request.size
    try {
      this.#owner.ended({
        id: newRecordId(),
        uri: targetUri(url),
        date: new Date(startedAt).toISOString(),
        request: await request.finish(),
        response: await response.finish(),
        connection: this.#connection,
        requestTruncated: whole ? null : 'unspecified',
        responseTruncated: truncated
      })
    } catch (err) {
      log.error({ err }, 'fastify-prox: an exchange could not be recorded')
      await this.#discard()
    }
  }

  #write (spool: Spool | null, chunk: Buffer): void | Promise<void> {
    if (this.#over || spool === null) return
    const writing = spool.write(chunk)
    return writing === undefined ? this.#owner.queueDrained() : this.#written(writing)
  }

  /** A body that cannot be kept, on a full disk, say, ends the recording of the exchange. */
  async #written (writing: Promise<void>): Promise<void> {
    try {
      await writing
    } catch (err) {
      // What ends the exchange waits for this, and tells of it.
      if (this.#over) return
      this.#over = true
      await this.#discard()
      throw err
    }
    await this.#owner.queueDrained()
  }

  async #discard (): Promise<void> {
    await Promise.all([this.#request?.discard(), this.#response?.discard()])
    this.#owner.ended(null)
  }
}

function announcedLength (rawHeaders: readonly string[]): string | undefined {
  let length: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (name === 'transfer-encoding') return 'chunked'
    if (name === 'content-length') length = rawHeaders[i + 1]!
  }
  return length
}

/** `WARC-Truncated`: why the response ended before its end. */
function reasonOf ({ code, message }: Error & { code?: string }): string {
  if (code === 'FST_PROX_UPSTREAM_TIMEOUT') return 'time'
  return code?.startsWith('FST_PROX_UPSTREAM_') || message === 'aborted' ? 'disconnect' : 'unspecified'
}
