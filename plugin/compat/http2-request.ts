/**
 * A request over HTTP/2 that an application written for HTTP/1.1 can take for one of its own.
 *
 * It extends Node's class by its public members. Seen in the sources of Node 20, 22, 24 and 26, and not documented:
 * - The constructor's parameters (`createServer({ Http2ServerRequest })` documents that there may be a subclass), and
 *   that `options` are those of the Readable. Without it there is no request at all.
 * - Node's class ends the body by `this.push(null)`, whether it came to its end or not. Without it an upload that was
 *   cut off counts as complete.
 * - It emits 'close' itself, when the stream closes. Without it 'close' comes twice or never.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { constants, Http2ServerRequest } from 'node:http2'
import type { IncomingHttpHeaders as Http2Headers, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { ReadableOptions } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { distinctFieldsOf, fieldsOf, rawFieldsOf } from './http2-fields'
import { connectionOf, streamSocket } from './http2-socket'
import type { Connection } from './http2-socket'

/** Node's class, with what are accessors there. */
interface Members extends Http2ServerRequest {
  readonly aborted: boolean
  readonly complete: boolean
  readonly socket: Socket | TLSSocket
  readonly trailers: NodeJS.Dict<string>
}

const Base = Http2ServerRequest as new (
  stream: ServerHttp2Stream, headers: Http2Headers, options: ReadableOptions, rawHeaders: readonly string[]
) => Members

export class Http2Request extends Base {
  /** Without pseudo-header fields; `method`, `url`, `scheme` and `authority` have what they say. */
  override headers: IncomingHttpHeaders
  override rawHeaders: string[]
  readonly #connection: Connection
  #socket: Socket | TLSSocket | undefined

  constructor (stream: ServerHttp2Stream, headers: Http2Headers, options: ReadableOptions, rawHeaders: string[]) {
    super(stream, headers, { ...options, emitClose: false }, rawHeaders)
    const authority = headers[':authority']
    const chunked = !stream.endAfterHeaders && headers[':method'] !== 'CONNECT'
    this.rawHeaders = rawFieldsOf(rawHeaders, authority, chunked)
    this.headers = fieldsOf(this.rawHeaders)
    // Once: the stream and the session may be gone when somebody asks.
    this.#connection = connectionOf(stream, () => super.socket)
    this.on('aborted', onAborted)
  }

  /** The values of each field, from `rawHeaders`, so that what was taken out there is not here. */
  get headersDistinct (): NodeJS.Dict<string[]> {
    return distinctFieldsOf(this.rawHeaders)
  }

  override get trailers (): NodeJS.Dict<string> {
    return fieldsOf(this.rawTrailers) as NodeJS.Dict<string>
  }

  get trailersDistinct (): NodeJS.Dict<string[]> {
    return distinctFieldsOf(this.rawTrailers)
  }

  /** Whether the client has gone before the response was complete; Node does not notice it for HEAD. */
  override get aborted (): boolean {
    return super.aborted || (this.stream.closed && !this.stream.headersSent)
  }

  /** Whether all of the request was received. */
  override get complete (): boolean {
    return this.stream.endAfterHeaders || this.readableEnded
  }

  override get socket (): Socket | TLSSocket {
    this.#socket ??= streamSocket({
      stream: this.stream, request: this, connection: this.#connection, socket: super.socket
    })
    return this.#socket
  }

  override push (chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#hasEnded()) return super.push(chunk, encoding)
    this.destroy(abortedError())
    return false
  }

  /** Whether the stream has come to its end, and not to one that a reset has put. */
  #hasEnded (): boolean {
    const { endAfterHeaders, readableEnded, rstCode } = this.stream
    return endAfterHeaders || (readableEnded && !rstCode)
  }

  /** As over HTTP/1.1: what is destroyed before its end takes the stream with it, and nobody has to listen. */
  override _destroy (err: Error | null, callback: (err?: Error | null) => void): void {
    if (!this.readableEnded) this.stream.close(err ? constants.NGHTTP2_INTERNAL_ERROR : constants.NGHTTP2_CANCEL)
    callback(this.listenerCount('error') === 0 ? null : err)
  }
}

function onAborted (this: Http2Request): void {
  if (!this.readableEnded) this.destroy(abortedError())
}

/** The error of Node's HTTP/1.1 server for a request that its client has left. */
function abortedError (): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
}
