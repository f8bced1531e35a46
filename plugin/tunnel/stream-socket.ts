/**
 * A stream of HTTP/2 that a CONNECT opened (RFC 9113 8.5), in the shape of the socket that HTTP/1.1 would have given.
 */
import { constants } from 'node:http2'
import type { Http2ServerRequest, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { lingeringClose } from './lingering-close'

type Callback = (err?: Error | null) => void

/** The socket of a tunnel over HTTP/2: as much of one as tunnels, TLS and Node's servers make use of. */
export function streamSocket (raw: Http2ServerRequest): Socket {
  return new StreamSocket(raw.stream, raw.socket) as Duplex as Socket
}

/** What a reset is on a socket. */
class ResetError extends Error {
  readonly code = 'ECONNRESET'

  constructor () {
    super('the client reset the stream')
  }
}

class StreamSocket extends Duplex {
  readonly #stream: ServerHttp2Stream
  #reading = false
  bytesRead = 0
  bytesWritten = 0
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly remoteFamily: string | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined

  constructor (stream: ServerHttp2Stream, connection: Socket) {
    super()
    this.#stream = stream
    this.remoteAddress = connection.remoteAddress
    this.remotePort = connection.remotePort
    this.remoteFamily = connection.remoteFamily
    this.localAddress = connection.localAddress
    this.localPort = connection.localPort
    // Which errors there are, and when, differs between versions of Node; the end says it all.
    stream.on('error', () => {})
    stream.on('close', () => this.destroy(stream.rstCode === constants.NGHTTP2_NO_ERROR ? undefined : new ResetError()))
    stream.on('timeout', () => this.emit('timeout'))
  }

  setTimeout (milliseconds: number): this {
    this.#stream.setTimeout(milliseconds)
    return this
  }

  /** The connection under the stream is not this tunnel's alone. */
  setKeepAlive (): this { return this }
  setNoDelay (): this { return this }

  destroySoon (): void {
    this.end(() => this.destroy())
  }

  /** Ends the stream with an error, as a reset ends a connection (RFC 9113 8.5). */
  resetAndDestroy (): void {
    this.#stream.close(constants.NGHTTP2_CONNECT_ERROR)
    this.destroy()
  }

  override _read (): void {
    if (this.#reading) {
      this.#stream.resume()
      return
    }
    this.#reading = true
    this.#stream.on('data', this.#onData)
    // Node tells of a reset as an end at first.
    this.#stream.on('end', () => setImmediate(() => { if (!this.#stream.aborted) this.push(null) }))
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytesRead += chunk.length
    if (!this.push(chunk)) this.#stream.pause()
  }

  override _write (chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.bytesWritten += chunk.length
    this.#stream.write(chunk, callback)
  }

  override _writev (chunks: Array<{ chunk: Buffer }>, callback: Callback): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', callback)
  }

  override _final (callback: Callback): void {
    this.#stream.end(callback)
  }

  override _destroy (err: Error | null, callback: Callback): void {
    const stream = this.#stream.off('data', this.#onData)
    // A reset might overtake what the client has not read yet.
    if (err === null && stream.writableFinished) lingeringClose(stream)
    else stream.close(err === null ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CONNECT_ERROR)
    callback(err)
  }
}
