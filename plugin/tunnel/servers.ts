/**
 * HTTP servers that never listen: tunnels hand them their sockets, and requests come out. What Fastify's own server
 * says about limits holds in them too.
 */
import { createServer as createHttp1Server, maxHeaderSize as defaultMaxHeaderSize, ServerResponse } from 'node:http'
import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { Http2Server, Http2ServerRequest, Http2ServerResponse, ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { whenAnswered } from '../compat/pipelining'
import { linger } from './lingering-close'
import { writeSingly } from '../compat/single-write'
import { passAddress } from './stream-socket'
import type { Tunnel } from './tunnel'

const kTunnel = Symbol('fastify-prox.tunnel')

/** Options of `http.createServer` that the outer server has kept as properties of the same name. */
const INHERITED = [
  'maxHeaderSize', 'connectionsCheckingInterval', 'insecureHTTPParser', 'joinDuplicateHeaders', 'highWaterMark',
  'requireHostHeader', 'rejectNonStandardBodyWrites'
] as const

/** Streams of an HTTP/2 session at a time; RFC 9113 5.1.2 wants 100 at least. Node's own default is no limit. */
const MAX_CONCURRENT_STREAMS = 128

/** How often Node looks for requests that take too long, in milliseconds. */
const CHECKING_INTERVAL = 30_000

export interface ServerLimits {
  /** Milliseconds, as in `http.Server`. */
  readonly headersTimeout: number
  readonly requestTimeout: number
  /** Silence of an HTTP/2 session. */
  readonly idle: number
  readonly timeout: number
  /** 0: no limit. */
  readonly maxRequestsPerSocket: number
}

export interface ServerHandlers {
  request (tunnel: Tunnel, raw: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void
  /** `null`: upgrades are not for this server, and `Upgrade` fields are ignored. */
  upgrade: ((tunnel: Tunnel, raw: IncomingMessage, socket: Duplex, head: Buffer, server: Server) => void) | null
  /** Returns whether anyone saw to it. */
  clientError (err: Error, socket: Duplex): boolean
}

interface SessionState {
  readonly tunnel: Tunnel
  /** The last stream that became a request. */
  lastStream: number
  /** Since when there is a later one, of which the header section has not ended; milliseconds, 0: there is none. */
  halfHeard: number
}

/** Node's own field: what it tells the client in `Keep-Alive: timeout=…`. */
type HintingResponse = ServerResponse & { _keepAliveTimeout: number }

type TunnelSocket = Socket & { [kTunnel]?: Tunnel }

export class TunnelServers {
  readonly #http1: Server
  readonly #http2: Http2Server
  readonly #handlers: ServerHandlers
  readonly #limits: ServerLimits
  readonly #sessions = new Map<ServerHttp2Session, SessionState>()
  readonly #headersCheck: NodeJS.Timeout | undefined

  constructor (outer: object, limits: ServerLimits, handlers: ServerHandlers) {
    this.#handlers = handlers
    this.#limits = limits
    this.#http1 = this.#createHttp1(outer)
    this.#http2 = this.#createHttp2(outer)
    const { connectionsCheckingInterval = CHECKING_INTERVAL } = inherited(outer)
    if (limits.headersTimeout > 0) this.#headersCheck = setInterval(this.#checkHeaders, connectionsCheckingInterval).unref()
  }

  /** Serves the requests that come on a socket. */
  take (socket: Socket, tunnel: Tunnel, http2: boolean): void {
    if (http2) {
      // Inherited from the socket of the CONNECT, it would keep the session of a client that has gone.
      socket.allowHalfOpen = false
      this.#http2.once('session', (session) => {
        passAddress(socket, session.socket)
        this.#adopt(session, tunnel)
      })
      // When a session has ended Node waits for the client to close its side, however long that takes.
      socket.on('finish', () => linger(socket))
      this.#http2.emit('connection', socket)
    } else {
      (socket as TunnelSocket)[kTunnel] = tunnel
      writeSingly(socket)
      this.#http1.emit('connection', socket)
    }
  }

  /** Ends HTTP/2 sessions when the streams that they have are done. */
  closeSessions (): void {
    for (const session of this.#sessions.keys()) session.close()
  }

  close (): void {
    clearInterval(this.#headersCheck)
    this.#http1.close()
    this.#http2.close()
  }

  #createHttp1 (outer: object): Server {
    // Tunnels are swept for silence, which costs less than Node's two timers a request.
    const server = createHttp1Server({ ...inherited(outer), keepAliveTimeout: 0 }, (raw, response) => {
      (response as HintingResponse)._keepAliveTimeout = this.#limits.idle
      this.#handlers.request(tunnelOf(raw.socket), raw, response)
    })
    const { requestTimeout, timeout } = this.#limits
    // Node takes the larger one for the request, whichever it is.
    const headersTimeout = Math.min(this.#limits.headersTimeout, requestTimeout || Infinity)
    Object.assign(server, { headersTimeout, requestTimeout, timeout })
    const { upgrade } = this.#handlers
    if (upgrade !== null) {
      server.on('upgrade', (raw: IncomingMessage, socket: Duplex, head: Buffer) => upgrade(tunnelOf(raw.socket), raw, socket, head, server))
    }
    server.on('connect', (raw: IncomingMessage, socket: Socket) => {
      socket.on('error', () => {})
      whenAnswered(socket, () => {
        const response = new ServerResponse(raw)
        response.shouldKeepAlive = false
        response.assignSocket(socket)
        response.on('finish', () => socket.destroySoon())
        this.#refuseConnect(tunnelOf(socket), response)
      })
    })
    // Not at once: what TLS is asked to write right after its handshake waits for a turn, and would be destroyed with the socket.
    server.on('clientError', (err: Error, socket: Duplex) => setImmediate(() => {
      if (!this.#handlers.clientError(err, socket)) socket.destroy(err)
    }))
    // Node enforces headersTimeout and requestTimeout from this event on, which a listening server emits.
    server.emit('listening')
    return server
  }

  #createHttp2 (outer: object): Http2Server {
    const { maxHeaderSize = defaultMaxHeaderSize } = inherited(outer)
    const server = createHttp2Server({
      settings: { enableConnectProtocol: false, maxConcurrentStreams: MAX_CONCURRENT_STREAMS, maxHeaderListSize: maxHeaderSize }
    }, (raw, response) => {
      const session = this.#sessions.get(raw.stream.session as ServerHttp2Session)
      // A stream may outlive its session by a tick; nobody waits for its answer.
      if (session === undefined) return
      session.lastStream = raw.stream.id!
      if (headerListSize(raw.rawHeaders) > maxHeaderSize) raw.stream.respond({ ':status': 431 }, { endStream: true })
      else this.#handlers.request(session.tunnel, raw, response)
    })
    server.on('connect', (raw: Http2ServerRequest, response: Http2ServerResponse) => {
      this.#refuseConnect(this.#sessions.get(raw.stream.session as ServerHttp2Session)!.tunnel, response)
    })
    return server
  }

  #adopt (session: ServerHttp2Session, tunnel: Tunnel): void {
    this.#sessions.set(session, { tunnel, lastStream: 0, halfHeard: 0 })
    session.on('close', () => this.#sessions.delete(session))
    this.#limitSilence(session, tunnel)
  }

  /** One tunnel ends at one proxy. */
  #refuseConnect (tunnel: Tunnel, response: ServerResponse | Http2ServerResponse): void {
    tunnel.log.info(`tunnel to ${tunnel.info.authority}: CONNECT inside a tunnel refused`)
    response.statusCode = 405
    response.setHeader('content-length', 0)
    response.end()
  }

  /**
   * The limits of a server for connections, which Node knows for HTTP/1.1 only. A client that has streams open may be
   * silent for long, but has to acknowledge SETTINGS (RFC 9113 6.5.3): Node 20 does not notice a reset while it writes.
   * A PING would do too, but Node sends none in a session that is closing.
   */
  #limitSilence (session: ServerHttp2Session, tunnel: Tunnel): void {
    const { idle, timeout } = this.#limits
    const end = (): void => tunnel.destroy('silent for too long')
    let asked = false
    const onSilence = (): void => {
      if (asked) return tunnel.destroy('SETTINGS were not acknowledged')
      if (timeout === 0) {
        asked = true
        // Before the session closes: one without streams may be gone when that returns.
        session.settings({}, () => { asked = false })
      }
      session.close()
      if (timeout > 0) session.setTimeout(timeout - idle, end)
      else session.setTimeout(idle, onSilence)
    }
    if (timeout > 0 && (idle === 0 || timeout <= idle)) session.setTimeout(timeout, end)
    else session.setTimeout(idle, onSilence)
  }

  /** Ends HTTP/2 sessions that have begun to send a header section and not gone on for longer than `headersTimeout`. */
  readonly #checkHeaders = (): void => {
    const { headersTimeout } = this.#limits
    const now = Date.now()
    for (const [session, state] of this.#sessions) {
      // The library that decodes has seen a stream of which no request has come.
      const { lastProcStreamID: begun = 0 } = session.state
      if (begun <= state.lastStream) state.halfHeard = 0
      else if (state.halfHeard === 0) state.halfHeard = now
      else if (now - state.halfHeard >= headersTimeout) session.close()
    }
  }
}

function inherited (outer: object): Partial<Pick<ServerOptions, typeof INHERITED[number]>> {
  return Object.fromEntries(INHERITED.flatMap((name) => name in outer ? [[name, outer[name as keyof object]]] : []))
}

/** As SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 6.5.2), which Node announces and does not enforce. */
function headerListSize (rawHeaders: string[]): number {
  let size = 16 * rawHeaders.length
  for (const text of rawHeaders) size += text.length
  return size
}

function tunnelOf (socket: Socket): Tunnel {
  return (socket as TunnelSocket)[kTunnel]!
}

/** Ends an HTTP/2 session after the streams that are open. */
export function closeSession (raw: Http2ServerRequest): void {
  const session = raw.stream.session as ServerHttp2Session | undefined
  session?.close()
}
