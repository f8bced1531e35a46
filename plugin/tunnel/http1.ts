/** The HTTP/1.1 server of tunnels. It never listens: tunnels hand it their sockets. */
import { createServer, ServerResponse } from 'node:http'
import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { hintKeepAlive, inheritedOptions, startTimeouts } from '../compat/http1-server'
import { whenAnswered } from '../compat/pipelining'
import { writeSingly } from '../compat/single-write'
import { knowsUpgradeCallback, replayWithoutUpgrade } from '../compat/upgrade'
import type { RequestServer } from './intercept'
import { IDLE_TIMEOUT } from './endings'
import type { Tunnel, Watch } from './tunnel'
import { Silence } from './watchdog'

const METHOD_NOT_ALLOWED = 405

/** The one property that sockets get. */
const kTunnel = Symbol('fastify-prox.tunnel')

type TunnelSocket = Socket & { [kTunnel]?: Tunnel }

/** Limits of Fastify's own server, which hold in tunnels as well; in milliseconds, 0: none. */
export interface ServerLimits {
  readonly headersTimeout: number
  readonly requestTimeout: number
  /** Silence of a connection. */
  readonly timeout: number
  /** Silence between requests. */
  readonly idle: number
  /** In number, 0: no limit. */
  readonly maxRequestsPerSocket: number
}

export interface Http1Handlers {
  http1Request (tunnel: Tunnel, raw: IncomingMessage, response: ServerResponse): void
  /** Whether an `Upgrade` field is acted on, and not ignored. */
  takesUpgrade (raw: IncomingMessage): boolean
  upgrade (tunnel: Tunnel, raw: IncomingMessage, socket: Duplex, head: Buffer): void
  /** A CONNECT inside the tunnel, which is refused. */
  connectRefused (tunnel: Tunnel): void
  /** Returns whether anyone saw to it. */
  clientError (err: Error, socket: Duplex): boolean
}

export class Http1Server implements RequestServer {
  readonly #server: Server
  readonly #idle: number

  /** @param outer Fastify's own server, whose options hold */
  constructor (outer: object, limits: ServerLimits, handlers: Http1Handlers) {
    this.#idle = limits.idle
    this.#server = createTunnelServer(outer, limits, handlers)
  }

  serve (socket: Socket, tunnel: Tunnel): void {
    (socket as TunnelSocket)[kTunnel] = tunnel
    tunnel.state = 'http1'
    if (this.#idle > 0) tunnel.watch = new IdleWatch(tunnel, this.#idle)
    else tunnel.probe()
    writeSingly(socket)
    this.#server.emit('connection', socket)
  }

  close (): void {
    this.#server.close()
  }
}

function createTunnelServer (outer: object, limits: ServerLimits, handlers: Http1Handlers): Server {
  const { headersTimeout, requestTimeout, timeout, idle } = limits
  const server = createServer({
    ...inheritedOptions(outer),
    // The watchdog looks for idle tunnels, which costs less than two timers a request.
    keepAliveTimeout: 0,
    shouldUpgradeCallback: handlers.takesUpgrade
  } as object)
  // Node takes the larger one for the request, whichever it is.
  const shorter = Math.min(headersTimeout, requestTimeout || Infinity)
  Object.assign(server, { headersTimeout: shorter, requestTimeout, timeout })

  server.on('request', (raw: IncomingMessage, response: ServerResponse) => {
    hintKeepAlive(response, idle)
    handlers.http1Request(tunnelOf(raw), raw, response)
  })
  server.on('upgrade', (raw: IncomingMessage, socket: Duplex, head: Buffer) => {
    whenAnswered(raw.socket, () => {
      if (!knowsUpgradeCallback(server) && !handlers.takesUpgrade(raw)) replayWithoutUpgrade(server, raw, head)
      else handlers.upgrade(tunnelOf(raw), raw, socket, head)
    })
  })
  server.on('connect', (raw: IncomingMessage, socket: Socket) => {
    socket.on('error', () => {})
    whenAnswered(socket, () => {
      // One tunnel ends at one proxy.
      handlers.connectRefused(tunnelOf(raw))
      answerConnect(raw, socket, METHOD_NOT_ALLOWED)
    })
  })
  // Later: what TLS is asked to write right after its handshake waits for a turn, and would be destroyed with the
  // socket.
  server.on('clientError', (err: Error, socket: Duplex) => setImmediate(() => {
    if (!handlers.clientError(err, socket)) socket.destroy(err)
  }))
  startTimeouts(server)
  return server
}

function tunnelOf (raw: IncomingMessage): Tunnel {
  return (raw.socket as TunnelSocket)[kTunnel]!
}

/** Answers a CONNECT with an error, after which the socket ends. */
function answerConnect (raw: IncomingMessage, socket: Socket, statusCode: number): void {
  const response = new ServerResponse(raw)
  response.shouldKeepAlive = false
  response.assignSocket(socket)
  response.on('finish', () => socket.destroySoon())
  response.writeHead(statusCode, { 'content-length': 0 }).end()
}

/** Ends a tunnel whose client has been silent between two requests for too long. */
class IdleWatch implements Watch {
  readonly #tunnel: Tunnel
  readonly #idle: number
  readonly #silence = new Silence()

  constructor (tunnel: Tunnel, idle: number) {
    this.#tunnel = tunnel
    this.#idle = idle
  }

  check (now: number): void {
    if (this.#tunnel.isAnswering()) this.#silence.restart(now)
    if (this.#silence.measure(this.#tunnel.socket.bytesRead, now) >= this.#idle) this.#tunnel.destroy(IDLE_TIMEOUT)
  }
}
