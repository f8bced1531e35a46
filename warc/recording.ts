/** What is being recorded: exchanges that are under way, and the queue of those that are to be written. */
import { LRUCache } from 'lru-cache'
import type { Exchange, ExchangeSink } from '../types/forward'
import { newRecordId } from './records'
import type { Fields } from './records'
import { WarcSink } from './sink'
import type { Captured } from './sink'
import type { WarcRecord, Writer } from './writer'

/** How many digests are remembered. */
const REMEMBERED = 50_000

/** Bytes of an exchange that is written at once. */
const SMALL = 32 * 1024

/** Bytes in memory that wait to be written, above which bodies wait. */
const HIGH_WATER_MARK = 32 * 1024 * 1024

const PROFILE = 'http://netpreserve.org/warc/1.1/revisit/identical-payload-digest'

export class Recording {
  readonly #directory: string
  readonly #writer: Writer
  /** By digest, what a `revisit` record says of the record that has the content: its id, URI and date. */
  readonly #originals: LRUCache<string, string> | null
  readonly #open = new Set<WarcSink>()
  #queue: Promise<void> = Promise.resolve()
  #waiting = 0

  /** @param directory of bodies that are too large for memory */
  constructor (directory: string, writer: Writer, dedup: boolean) {
    this.#directory = directory
    this.#writer = writer
    this.#originals = dedup ? new LRUCache({ max: REMEMBERED }) : null
  }

  /** `undefined`: WARC has no form for WebSockets. */
  sink (exchange: Exchange): ExchangeSink | undefined {
    if (exchange.webSocket) return undefined
    const sink: WarcSink = new WarcSink(exchange, this.#directory, {
      ended: (captured) => {
        this.#open.delete(sink)
        if (captured !== null) this.#enqueue(exchange, captured)
      },
      queueDrained: () => this.#waiting > HIGH_WATER_MARK ? this.#queue : undefined
    })
    this.#open.add(sink)
    return sink
  }

  /**
   * Writes what there is. Exchanges that are under way are recorded as far as they have come.
   * @throws FST_PROX_WARC_NOT_WRITABLE
   */
  async close (): Promise<void> {
    await Promise.all([...this.#open].map(async (sink) => await sink.cut()))
    await this.#queue
    await this.#writer.finish()
  }

  #enqueue ({ request }: Exchange, captured: Captured): void {
    const inMemory = sizeInMemory(captured)
    if (this.#waiting === 0 && isSmall(captured)) {
      try {
        if (this.#writer.appendNow(this.#recordsOf(captured))) return this.#remember(captured)
      } catch (err) {
        request.log.error({ err }, 'fastify-prox: an exchange could not be recorded')
        return
      }
    }
    this.#waiting += inMemory
    this.#queue = this.#queue.then(async () => {
      try {
        await this.#writer.append(this.#recordsOf(captured))
        this.#remember(captured)
      } catch (err) {
        request.log.error({ err }, 'fastify-prox: an exchange could not be recorded')
      }
      this.#waiting -= inMemory
      await captured.request.file?.close()
      await captured.response.file?.close()
    })
  }

  #recordsOf (captured: Captured): WarcRecord[] {
    const { uri, date, request, response, connection, requestTruncated, responseTruncated } = captured
    const requestId = newRecordId()
    const shared: Fields = [['WARC-Target-URI', uri], ['WARC-Date', date], ...connection]
    const original = responseTruncated === null ? this.#originals?.get(response.payloadDigest) : undefined
    return [{
      type: original === undefined ? 'response' : 'revisit',
      block: response,
      headOnly: original !== undefined,
      fields: [
        ['WARC-Record-ID', captured.id],
        ...shared,
        ['WARC-Concurrent-To', requestId],
        ...(original === undefined ? [] : refersTo(original)),
        ['WARC-Truncated', responseTruncated],
        ['Content-Type', 'application/http; msgtype=response']
      ]
    }, {
      type: 'request',
      block: request,
      fields: [
        ['WARC-Record-ID', requestId],
        ...shared,
        ['WARC-Concurrent-To', captured.id],
        ['WARC-Truncated', requestTruncated],
        ['Content-Type', 'application/http; msgtype=request']
      ]
    }]
  }

  #remember ({ id, uri, date, response, responseTruncated }: Captured): void {
    const { payloadDigest, size } = response
    if (this.#originals === null || size === 0 || responseTruncated !== null) return
    if (!this.#originals.has(payloadDigest)) this.#originals.set(flat(payloadDigest), flat(`${id} ${uri} ${date}`))
  }
}

function refersTo (original: string): Fields {
  const [id, uri, date] = original.split(' ') as [string, string, string]
  return [
    ['WARC-Profile', PROFILE],
    ['WARC-Refers-To', id],
    ['WARC-Refers-To-Target-URI', uri],
    ['WARC-Refers-To-Date', date]
  ]
}

/** A copy of ASCII that refers to nothing: V8 keeps the parts that a text was put together of. */
function flat (text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

function sizeInMemory ({ request, response }: Captured): number {
  return [request, response].reduce((sum, { head, size, file }) => sum + head.length + (file === null ? size : 0), 0)
}

function isSmall ({ request, response }: Captured): boolean {
  return request.size + response.size <= SMALL
}
