/** HTTP/2 in tunnels: a session for each socket, with the limits of Fastify's own server. */
import type { EventEmitter } from 'node:events'
import { constants, performServerHandshake } from 'node:http2'
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Http2Request } from '../compat/http2-request'
import type { Http2Response } from '../compat/http2-response'
import { acceptStream, http2Options, refuseStream } from '../compat/http2-stream'
import type { Http2Limits } from '../compat/http2-stream'
import { copyAddress } from '../compat/socket-address'
import type { ServerLimits } from './http1'
import type { RequestServer } from './intercept'
import { lingeringClose } from './lingering-close'
import { CLIENT_UNRESPONSIVE, connectionFailed, CONNECTION_TIMEOUT } from './endings'
import type { Tunnel, Watch } from './tunnel'
import { Silence } from './watchdog'

/** Streams of a session at a time; RFC 9113 5.1.2 wants 100 at least. Node's own default is no limit. */
const MAX_CONCURRENT_STREAMS = 128

const METHOD_NOT_ALLOWED = 405
const REQUEST_TIMEOUT = 408

/** The arguments of the event 'stream'. */
export type StreamArguments = [
  stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]
]

export interface Http2Handlers {
  http2Request (tunnel: Tunnel, raw: Http2Request, response: Http2Response): void
  /** A CONNECT inside the tunnel, which is refused. */
  connectRefused (tunnel: Tunnel): void
}

export class Http2Sessions implements RequestServer {
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #limits: ServerLimits
  readonly #streamLimits: Http2Limits
  readonly #handlers: Http2Handlers

  /**
   * @param limits of time
   * @param streamLimits of header sections
   */
  constructor (limits: ServerLimits, streamLimits: Http2Limits, handlers: Http2Handlers) {
    this.#limits = limits
    this.#streamLimits = streamLimits
    this.#handlers = handlers
  }

  serve (socket: Socket, tunnel: Tunnel): void {
    tunnel.state = 'http2'
    tunnel.probe()
    // Inherited from the socket of the CONNECT, it would keep the session of a client that has gone.
    socket.allowHalfOpen = false
    const settings = { maxConcurrentStreams: MAX_CONCURRENT_STREAMS }
    const session = performServerHandshake(socket, http2Options(this.#streamLimits, settings))
    copyAddress(socket, session.socket)
    // When a session has ended Node waits for the client to close its side, however long that takes.
    socket.on('finish', () => lingeringClose(socket))

    const watch = new SessionWatch(session, tunnel, this.#limits)
    tunnel.watch = watch
    this.#sessions.add(session)
    session.on('close', () => this.#sessions.delete(session))
    session.on('error', (err) => { tunnel.ending = connectionFailed(err) })
    onStream(session, (...args) => this.#accept(tunnel, watch, ...args))
  }

  /** Ends the sessions when the streams that they have are done. */
  closeSessions (): void {
    for (const session of this.#sessions) session.close()
  }

  #accept (tunnel: Tunnel, watch: SessionWatch, ...[stream, headers, , rawHeaders]: StreamArguments): void {
    watch.lastStream = stream.id!
    if (headers[':method'] === 'CONNECT') {
      // One tunnel ends at one proxy.
      this.#handlers.connectRefused(tunnel)
      return refuseStream(stream, METHOD_NOT_ALLOWED)
    }
    const accepted = acceptStream(stream, headers, rawHeaders, this.#streamLimits)
    if (accepted === null) return
    if (!stream.endAfterHeaders) watch.addUpload(stream)
    this.#handlers.http2Request(tunnel, accepted.request, accepted.response)
  }
}

/** The types of Node know three of the four arguments. */
function onStream (session: EventEmitter, listener: (...args: StreamArguments) => void): void {
  session.on('stream', listener)
}

/** Ends a session gracefully: after the streams that are open. */
export function closeSession ({ stream: { session } }: Http2Request): void {
  session?.close()
}

/**
 * The limits of time of a server, which Node enforces for HTTP/1.1 only.
 *
 * - A session that is silent for `idle` is closed. A client with open streams may be silent for long, but has to
 *   acknowledge SETTINGS (RFC 9113 6.5.3): Node does not notice a reset while it writes. A PING would do too, but Node
 *   sends none in a session that is closing.
 * - A session that is silent for `timeout` ends.
 * - A session that has begun to send a header section and not gone on for `headersTimeout` is closed.
 * - A request that has not arrived whole after `requestTimeout` is answered with 408.
 */
class SessionWatch implements Watch {
  readonly #session: ServerHttp2Session
  readonly #tunnel: Tunnel
  readonly #limits: ServerLimits
  readonly #silence = new Silence()
  /** Whether SETTINGS wait for their acknowledgement. */
  #asked = false
  /** The last stream that became a request. */
  lastStream = 0
  /** Since when a header section is incomplete; milliseconds since the epoch, 0: none is. */
  #incompleteSince = 0
  /** When requests with content began to arrive. */
  readonly #uploads = new Map<ServerHttp2Stream, number>()

  constructor (session: ServerHttp2Session, tunnel: Tunnel, limits: ServerLimits) {
    this.#session = session
    this.#tunnel = tunnel
    this.#limits = limits
  }

  /** Limits the time in which the content of a request has to arrive. */
  addUpload (stream: ServerHttp2Stream): void {
    if (this.#limits.requestTimeout === 0) return
    this.#uploads.set(stream, Date.now())
    stream.once('close', () => this.#uploads.delete(stream))
  }

  check (now: number): void {
    if (this.#session.destroyed) return
    this.#checkSilence(now)
    if (this.#limits.headersTimeout > 0) this.#checkHeaders(now)
    for (const [stream, since] of this.#uploads) this.#checkUpload(stream, now - since)
  }

  #checkSilence (now: number): void {
    const { socket } = this.#tunnel
    const silent = this.#silence.measure(socket.bytesRead + socket.bytesWritten, now)
    const { idle, timeout } = this.#limits
    if (timeout > 0 && silent >= timeout) return this.#tunnel.destroy(CONNECTION_TIMEOUT)
    if (idle === 0 || silent < idle) return
    if (this.#asked) return this.#tunnel.destroy(CLIENT_UNRESPONSIVE)
    if (timeout === 0) {
      this.#asked = true
      this.#silence.restart(now)
      // Before the session closes: one without streams may be gone when that returns.
      this.#session.settings({}, () => { this.#asked = false })
    }
    this.#session.close()
  }

  #checkHeaders (now: number): void {
    // nghttp2 has seen a stream of which no request has come.
    const { lastProcStreamID: begun = 0 } = this.#session.state
    if (begun <= this.lastStream) this.#incompleteSince = 0
    else if (this.#incompleteSince === 0) this.#incompleteSince = now
    else if (now - this.#incompleteSince >= this.#limits.headersTimeout) this.#session.close()
  }

  #checkUpload (stream: ServerHttp2Stream, milliseconds: number): void {
    if (milliseconds < this.#limits.requestTimeout) return
    this.#uploads.delete(stream)
    // 1: the client has ended its side, the content has arrived.
    if (stream.state.remoteClose === 1) return
    refuseStream(stream, REQUEST_TIMEOUT)
    stream.close(constants.NGHTTP2_CANCEL)
  }
}
