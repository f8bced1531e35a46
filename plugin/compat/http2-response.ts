/**
 * A response over HTTP/2 that takes what one of HTTP/1.1 takes, and that may be written to when its stream is dead.
 *
 * It extends Node's class by its public members, and sends by the documented `stream.respond()`. Seen in the sources
 * of Node 20, 22, 24 and 26, and not documented:
 * - The constructor's parameter (`createServer({ Http2ServerResponse })` documents that there may be a subclass).
 * - `end()` sends what there is by calling `this.write()` and `this.writeHead()`, with `writableEnded` true when
 *   nothing is to follow. Without it fields that were set are not sent.
 * - It sends the trailers of `setTrailer()` when the stream wants them. Without it there are none.
 * - `sendDate: false` among the options of `respond()`. Without it there is a `date` that was not wanted.
 * - Which fields `respond()` takes only one value of (http2-fields). Without it `writeHead()` throws.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders } from 'node:http'
import { constants, Http2ServerResponse } from 'node:http2'
import type { ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { addField, assertField, outgoingFields, pairsOf } from './http2-fields'
import type { GivenFields, OutgoingFields } from './http2-fields'
import { canBeSent } from './http2-size'
import { connectionOf, streamSocket } from './http2-socket'
import { ignore, isAlive } from './http2-state'

type Callback = (err: Error) => void
type Fields = Record<string, OutgoingHttpHeader>
type Pushed = (err: Error | null, response: Http2ServerResponse) => void

/** Node's class, with what are accessors there, and what its types leave out. */
interface Members extends Http2ServerResponse {
  readonly destroyed: boolean
  readonly socket: Socket | TLSSocket
  statusCode: number
  readonly writableNeedDrain: boolean
  flushHeaders (): void
  setTrailer (name: string, value: OutgoingHttpHeader): void
}

const Base = Http2ServerResponse as unknown as new (stream: ServerHttp2Stream) => Members

export class Http2Response extends Base {
  /** HTTP/2 sends none. Kept for those who read it again, without Node's warning. */
  override statusMessage: '' = ''
  strictContentLength = false
  #fields: Fields | null = null
  #trailers: OutgoingFields = {}

  constructor (stream: ServerHttp2Stream) {
    super(stream)
    // The request listens for it, which a response that was pushed does not have.
    if (!this.req) stream.on('error', ignore)
  }

  override get destroyed (): boolean {
    return this.stream.closed || this.stream.destroyed
  }

  /** Node 20 has none. */
  override get writableNeedDrain (): boolean {
    return this.stream.writableNeedDrain
  }

  /** The socket of the request, until the stream has closed. */
  override get socket (): Socket | TLSSocket {
    const { stream } = this
    const socket = super.socket
    if (!socket || this.req) return socket && this.req.socket
    return streamSocket({ stream, request: stream, connection: connectionOf(stream, () => socket), socket })
  }

  override get statusCode (): number {
    return super.statusCode
  }

  override set statusCode (code: number) {
    super.statusCode = statusOf(code)
  }

  override getHeader (name: string): string {
    return this.#fields?.[name.toLowerCase()] as string
  }

  override getHeaderNames (): string[] {
    return Object.keys(this.#fields ?? {})
  }

  getRawHeaderNames (): string[] {
    return this.getHeaderNames()
  }

  override getHeaders (): OutgoingHttpHeaders {
    return Object.assign(Object.create(null), this.#fields)
  }

  override hasHeader (name: string): boolean {
    return this.getHeader(name) !== undefined
  }

  override removeHeader (name: string): void {
    this.#assertNotSent('remove')
    const key = name.toLowerCase()
    if (key === 'date') this.sendDate = false
    delete this.#fields?.[key]
  }

  override setHeader (name: string, value: OutgoingHttpHeader): this {
    this.#assertNotSent('set')
    assertField(name, value)
    this.#fields ??= Object.create(null) as Fields
    this.#fields[name.toLowerCase()] = value
    return this
  }

  override appendHeader (name: string, value: string | string[]): this {
    const existing = this.getHeader(name) as OutgoingHttpHeader | undefined
    return this.setHeader(name, existing === undefined ? value : [existing, value].flat().map(String))
  }

  setHeaders (headers: Headers | Map<string, OutgoingHttpHeader>): this {
    // `Headers` names `set-cookie` once for every cookie.
    const cookies = [...headers].flatMap(([name, value]) => name === 'set-cookie' ? value : []).map(String)
    for (const [name, value] of headers) this.setHeader(name, name === 'set-cookie' ? cookies : value)
    return this
  }

  override writeHead (statusCode: number, ...rest: [reason?: unknown, fields?: unknown]): this {
    const { stream } = this
    if (!isAlive(stream)) return this
    this.#assertNotSent('write')
    const status = statusOf(statusCode)
    const fields: OutgoingFields = Object.create(null)
    fields[':status'] = status
    let size = this.#addGiven(fields, (typeof rest[0] === 'string' ? rest[1] : rest[1] ?? rest[0]) as GivenFields)
    for (const name in this.#fields) size += addField(fields, name, this.#fields[name])
    if (canBeSent(fields, size)) {
      super.statusCode = status
      stream.respond(fields, this.sendDate ? this.#respondOptions() : { ...this.#respondOptions(), sendDate: false })
    } else {
      warn('A response with more header fields than HTTP/2 can hold was answered with 500')
      super.statusCode = 500
      stream.respond({ ':status': 500, 'content-length': 0 }, { endStream: true })
    }
    return this
  }

  #respondOptions (): ServerStreamResponseOptions & { sendDate?: boolean } {
    return { endStream: this.writableEnded, waitForTrailers: true }
  }

  /** Adds the fields of `writeHead()` to what is sent, or to those that were set before, which they replace. */
  #addGiven (fields: OutgoingFields, given: GivenFields | null | undefined): number {
    let size = 0
    if (given === undefined || given === null) return size
    if (this.#fields === null && !Array.isArray(given)) {
      const object = given as Record<string, unknown>
      for (const name of Object.keys(object)) {
        assertField(name, object[name])
        size += addField(fields, name, object[name])
      }
      return size
    }
    const pairs = pairsOf(given)
    for (const [name, value] of pairs) assertField(name, value)
    for (const [name] of pairs) delete this.#fields?.[name.toLowerCase()]
    for (const [name, value] of pairs) this.appendHeader(name, value as string)
    return size
  }

  override write (
    chunk: string | Uint8Array, ...rest: [encoding?: BufferEncoding | Callback | null, callback?: Callback]
  ): boolean {
    const callback = typeof rest[0] === 'function' ? rest[0] : rest[1]
    const { stream } = this
    if (!isAlive(stream) || this.writableEnded) {
      if (callback) process.nextTick(callback, codedError('ERR_HTTP2_INVALID_STREAM', 'The stream has been destroyed'))
      return false
    }
    if (!stream.headersSent) this.writeHead(this.statusCode)
    if (stream.writableEnded) {
      // To HEAD, with 204 or 304, there is no content; over HTTP/1.1 it is dropped, too.
      if (callback) process.nextTick(callback as () => void)
      return true
    }
    return stream.write(chunk, typeof rest[0] === 'string' ? rest[0] : 'utf8', callback as () => void)
  }

  /** Ends the stream with an error, without which the client would take what it has for the whole. */
  override destroy (err?: Error): this {
    if (!this.writableFinished) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    super.destroy(err as Error)
    return this
  }

  override setTimeout (milliseconds: number, callback?: () => void): this {
    super.setTimeout(milliseconds, callback)
    return this
  }

  override setTrailer (name: string, value: OutgoingHttpHeader): void {
    this.addTrailers({ [name]: value })
  }

  override addTrailers (trailers: GivenFields): void {
    const fields = { ...this.#trailers, ...outgoingFields(trailers) }
    if (!canBeSent(fields)) return warn('Trailers that are larger than HTTP/2 can hold were dropped')
    this.#trailers = fields
    for (const name in fields) super.setTrailer(name, fields[name]!)
  }

  /** @returns whether it was sent */
  writeInformation (statusCode: number, given: GivenFields = {}, callback?: () => void): boolean {
    const { stream } = this
    if (!isAlive(stream) || stream.headersSent) return false
    const fields = outgoingFields(given)
    if (!canBeSent(fields)) return false
    stream.additionalHeaders({ ...fields, ':status': statusCode })
    if (callback) process.nextTick(callback)
    return true
  }

  override writeContinue (callback?: () => void): boolean {
    return this.writeInformation(100, {}, callback)
  }

  writeProcessing (callback?: () => void): boolean {
    return this.writeInformation(102, {}, callback)
  }

  override writeEarlyHints (hints: Record<string, string | string[]>, callback?: () => void): boolean {
    const link = [hints.link ?? []].flat().join(', ')
    return link !== '' && this.writeInformation(103, { ...hints, link }, callback)
  }

  override createPushResponse (headers: OutgoingHttpHeaders, callback: Pushed): void {
    if (!this.stream.pushAllowed) {
      const err = codedError('ERR_HTTP2_PUSH_DISABLED', 'HTTP/2 client has disabled push streams, or has gone')
      process.nextTick(callback, err)
      return
    }
    this.stream.pushStream(headers, (err, pushed) => {
      callback(err, err ? undefined as unknown as Http2Response : new Http2Response(pushed))
    })
  }

  /** Middleware that was written for HTTP/1.1 (express-session, compression) sends the head by it. */
  _implicitHeader (): void {
    this.writeHead(this.statusCode)
  }

  #assertNotSent (verb: string): void {
    if (this.stream.headersSent) {
      throw codedError('ERR_HTTP_HEADERS_SENT', `Cannot ${verb} headers after they are sent to the client`)
    }
  }
}

/** A status code that HTTP/2 can send; others of three digits are as good as 500 (RFC 9110 15). */
function statusOf (code: number): number {
  const status = code | 0
  if (status >= 200 && status <= 599) return status
  if (status >= 100 && status <= 999) return 500
  throw Object.assign(new RangeError(`Invalid status code: ${code}`), { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
}

function codedError (code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

let warned = false

function warn (message: string): void {
  if (!warned) process.emitWarning(message)
  warned = true
}
