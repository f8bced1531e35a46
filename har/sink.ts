/** Makes an entry of an exchange while it goes on, and hands it over when it has ended. */
import type {
  Exchange, ExchangeConnection, ExchangeEnd, ExchangeRequest, ExchangeResponse, ExchangeSink
} from '../types/forward'
import type { HarEntry, HarRequest, HarResponse, HarWebSocketMessage } from '../types/har'
import { decodable } from '../net/codings'
import { BodyCollector } from './body'
import type { Collected } from './body'
import {
  contentOf, cookiesOf, pairsOf, postDataOf, queryOf, setCookiesOf, timingsOf, totalOf, valueOf
} from './entry'
import type { BodyFiles } from './files'
import type { Redactor } from './redact'

type Fields = Array<[name: string, value: string]>

/** Bytes of the messages of one WebSocket; what comes after is left out. */
const MESSAGES_LIMIT = 16 * 1024 * 1024

export interface SinkOptions {
  readonly files: BodyFiles
  readonly redactor: Redactor
  readonly inlineLimit: number
}

export class HarSink implements ExchangeSink {
  readonly #exchange: Exchange
  readonly #options: SinkOptions
  readonly #finished: (entry: HarEntry | null) => void
  #requestHead: ExchangeRequest | null = null
  #requestFields: Fields = []
  #connection: ExchangeConnection | null = null
  #responseHead: ExchangeResponse | null = null
  #responseFields: Fields = []
  #encoded = false
  readonly #requestBody: BodyCollector
  #responseBody: BodyCollector
  readonly #messages: HarWebSocketMessage[] = []
  #messageBytes = 0
  #over = false

  /** @param finished is told of the entry, or of `null` when there is none */
  constructor (exchange: Exchange, options: SinkOptions, finished: (entry: HarEntry | null) => void) {
    this.#exchange = exchange
    this.#options = options
    this.#finished = finished
    this.#requestBody = new BodyCollector(options.files, options.inlineLimit, [])
    this.#responseBody = new BodyCollector(options.files, options.inlineLimit, [])
  }

  request (request: ExchangeRequest, connection: ExchangeConnection): void {
    this.#requestHead = request
    this.#connection = connection
    this.#requestFields = this.#options.redactor.fields(request.rawHeaders)
  }

  requestData (chunk: Buffer): void | Promise<void> {
    return this.#write(this.#requestBody, chunk)
  }

  response (response: ExchangeResponse): void {
    const { files, inlineLimit, redactor } = this.#options
    this.#responseHead = response
    const fields = this.#responseFields = redactor.fields(response.rawHeaders)
    const coding = fields.filter(([name]) => name.toLowerCase() === 'content-encoding').map(([, value]) => value)
    // A part of encoded content cannot be decoded.
    const codings = response.statusCode === 206 ? null : decodable(coding.join(','))
    this.#encoded = codings === null && coding.length > 0
    this.#responseBody = new BodyCollector(files, inlineLimit, codings ?? [])
  }

  responseData (chunk: Buffer): void | Promise<void> {
    return this.#write(this.#responseBody, chunk)
  }

  message (from: 'client' | 'server', data: Buffer, binary: boolean): void {
    this.#messageBytes += data.length
    if (this.#messageBytes > MESSAGES_LIMIT) return
    this.#messages.push({
      type: from === 'client' ? 'send' : 'receive',
      time: Date.now() / 1000,
      opcode: binary ? 2 : 1,
      data: data.toString(binary ? 'base64' : 'utf8')
    })
  }

  end (end: ExchangeEnd): void {
    if (this.#over) return
    this.#over = true
    const requestBody = this.#requestBody.end()
    const responseBody = this.#responseBody.end()
    this.#finish(end, requestBody, responseBody).catch(async (err: unknown) => {
      this.#exchange.request.log.error({ err }, 'fastify-prox: an exchange could not be recorded')
      await this.#discard()
    })
  }

  /** Ends what is under way, as far as it has come. */
  cut (): void {
    const error = new Error('the recording ended before the exchange')
    const now = Date.now() - this.#exchange.startedAt
    this.end({ error, timings: { connected: null, requestSent: null, responseHead: null, end: now } })
  }

  /** A body that cannot be written, on a full disk, say, ends the recording of the exchange. */
  #write (body: BodyCollector, chunk: Buffer): void | Promise<void> {
    if (this.#over) return
    return body.write(chunk)?.catch(async (err: unknown) => {
      // What ends the exchange waits for this, and tells of it.
      if (this.#over) return
      this.#over = true
      await this.#discard()
      throw err
    })
  }

  async #discard (): Promise<void> {
    await Promise.all([this.#requestBody.discard(), this.#responseBody.discard()])
    this.#finished(null)
  }

  async #finish (
    { error, timings }: ExchangeEnd, sent: Collected | Promise<Collected>, received: Collected | Promise<Collected>
  ): Promise<void> {
    // Together: one may fail while the other is waited for.
    const [requestBody, responseBody] = await Promise.all([sent, received])
    const { startedAt, webSocket } = this.#exchange
    const times = timingsOf(timings, this.#connection)
    const { remoteAddress, tlsVersion = null, cipher = null } = this.#connection ?? {}
    const entry: HarEntry = {
      startedDateTime: new Date(startedAt).toISOString(),
      time: totalOf(times),
      request: await this.#requestOf(requestBody),
      response: await this.#responseOf(responseBody, error),
      cache: {},
      timings: times,
      ...(remoteAddress !== undefined && { serverIPAddress: remoteAddress }),
      ...(tlsVersion !== null && { _securityDetails: { protocol: tlsVersion, cipher } }),
      ...(webSocket && { _resourceType: 'websocket', _webSocketMessages: this.#messages }),
      ...(this.#messageBytes > MESSAGES_LIMIT && { comment: 'There were more messages than are recorded.' })
    }
    this.#finished(entry)
  }

  async #requestOf (body: Collected): Promise<HarRequest> {
    const { method, webSocket } = this.#exchange
    const url = this.#options.redactor.url(hrefOf(this.#exchange.url, webSocket))
    const fields = this.#requestFields
    const postData = await postDataOf(fields, body, this.#options.redactor)
    return {
      method,
      url,
      httpVersion: versionOf(this.#requestHead?.httpVersion),
      cookies: cookiesOf(fields),
      headers: pairsOf(fields),
      queryString: queryOf(url),
      ...(postData !== undefined && { postData }),
      headersSize: -1,
      bodySize: body.received
    }
  }

  async #responseOf (body: Collected, error: Error | null): Promise<HarResponse> {
    const fields = this.#responseFields
    const { statusCode = 0, statusMessage = '', httpVersion } = this.#responseHead ?? {}
    return {
      status: statusCode,
      statusText: statusMessage,
      httpVersion: versionOf(httpVersion),
      cookies: setCookiesOf(fields),
      headers: pairsOf(fields),
      content: await contentOf(fields, body, this.#encoded, this.#options.redactor),
      redirectURL: valueOf(fields, 'location') ?? '',
      headersSize: -1,
      bodySize: body.received,
      ...(error !== null && { _error: error.message })
    }
  }
}

/** The URL as browsers write it, as HAR files have it: `ws:` and `wss:` for WebSockets, and no fragment. */
function hrefOf (text: string, webSocket: boolean): string {
  const url = new URL(text)
  url.hash = ''
  return webSocket ? url.href.replace(/^http/, 'ws') : url.href
}

function versionOf (httpVersion: string | undefined): string {
  if (httpVersion === undefined) return ''
  return httpVersion === '2' ? 'HTTP/2.0' : `HTTP/${httpVersion}`
}
