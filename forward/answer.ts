/** Asks those who answer in place of upstream hosts (`fastify.answerExchange`), before anything is sent to one. */
import { Readable } from 'node:stream'
import type {
  ExchangeAnswer, ExchangeAnswerer, ExchangeCall, ExchangeSocketAnswer
} from '../types/forward'
import { readContent } from '../net/content'
import { hasNoContent } from './upstream'
import type { UpstreamResponse } from './upstream'

/** The first answer; `null`: the host is to be asked. */
export async function askAnswerers (
  answerers: readonly ExchangeAnswerer[], call: ExchangeCall
): Promise<ExchangeAnswer | ExchangeSocketAnswer | null> {
  for (const answerer of answerers) {
    const answer = await answerer(call)
    if (answer !== null && answer !== undefined) return answer
  }
  return null
}

/** The content of a request, which may be read whole and forwarded all the same. */
export class BodyOnDemand {
  readonly #content: Readable | null
  #whole: Buffer | null = null

  /** @param content `null`: none */
  constructor (content: Readable | null) {
    this.#content = content
  }

  /** @throws FST_PROX_CONTENT_TOO_LARGE */
  async read (limit: number): Promise<Buffer> {
    this.#whole ??= this.#content === null ? Buffer.alloc(0) : await readContent(this.#content, limit)
    return this.#whole
  }

  /** What is to be forwarded. */
  get stream (): Readable | null {
    return this.#whole === null || this.#content === null ? this.#content : readableOf(this.#whole)
  }
}

export function isSocketAnswer (answer: ExchangeAnswer | ExchangeSocketAnswer): answer is ExchangeSocketAnswer {
  return 'socket' in answer
}

/** An answer in the form of a host's response. */
export function responseOf (method: string, answer: ExchangeAnswer): UpstreamResponse {
  const { statusCode, statusMessage = '', rawHeaders, body = Buffer.alloc(0) } = answer
  return {
    httpVersion: '1.1',
    statusCode,
    statusMessage,
    rawHeaders,
    body: Buffer.isBuffer(body) ? readableOf(body) : body,
    bodiless: hasNoContent(method, statusCode),
    rawTrailers: () => []
  }
}

function readableOf (bytes: Buffer): Readable {
  return Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false })
}
