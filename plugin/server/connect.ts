/** Takes CONNECT requests of a server, over HTTP/1.1 and HTTP/2, and opens a tunnel for each that is allowed. */
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { whenAnswered } from '../compat/pipelining'
import type { Http2Request } from '../compat/http2-request'
import type { Http2Response } from '../compat/http2-response'
import { redactHost } from '../http/headers'
import { redactUserinfo } from '../http/target'
import type { Authority } from '../http/target'
import { connectionFailed } from '../tunnel/endings'
import { serveTunnel } from '../tunnel/intercept'
import type { InterceptOptions } from '../tunnel/intercept'
import { lingeringClose } from '../tunnel/lingering-close'
import type { PassDecision } from '../tunnel/pass'
import type { TunnelRegistry } from '../tunnel/registry'
import { streamSocket } from '../tunnel/stream-socket'
import type { Tunnel, TunnelRequest } from '../tunnel/tunnel'
import type { PendingConnect, RouteConnect } from './connect-route'
import type { ConnectPolicy } from './policy'
import type { Dispatch } from './requests'

const NO_BYTES = Buffer.alloc(0)

export interface ConnectOptions {
  readonly route: RouteConnect
  readonly dispatch: Dispatch
  readonly policy: ConnectPolicy
  readonly registry: TunnelRegistry
  readonly intercept: InterceptOptions
}

/** Takes a CONNECT from its arrival to the tunnel that it opens, or to the end of its connection. */
class Connect implements PendingConnect {
  readonly socket: Socket
  readonly refusal: Error | null
  tunnel: Tunnel | null = null
  readonly #head: Buffer
  /** `null`: the tunnel is open. The socket lives on with this, in the old generation of V8's heap. */
  #response: ServerResponse | Http2Response | null
  readonly #options: ConnectOptions

  /** @param head what came right behind it */
  constructor (socket: Socket, head: Buffer, response: ServerResponse | Http2Response, options: ConnectOptions) {
    this.socket = socket
    this.refusal = options.registry.track(socket, socket.remoteAddress)
    this.#head = head
    this.#response = response
    this.#options = options
    socket.on('error', this.#onError)
  }

  get policy (): ConnectPolicy { return this.#options.policy }

  get isClosing (): boolean { return this.#options.registry.isClosing }

  async dial (decision: PassDecision, target: Authority): Promise<Socket | null> {
    return await this.#options.intercept.passDialer.dial(decision, target, this.socket)
  }

  establish (request: TunnelRequest, upstream: Socket | null): void {
    const { registry, intercept } = this.#options
    const response = this.#response!
    this.#response = null
    this.tunnel = registry.open(this.socket, request)
    if (response instanceof ServerResponse) sendEstablished(response)
    else response.writeHead(200)
    serveTunnel(this.tunnel, upstream, this.#head, intercept)
  }

  readonly #onError = (err: NodeJS.ErrnoException): void => {
    if (this.tunnel !== null) this.tunnel.ending = connectionFailed(err)
  }
}

export class ConnectServer {
  readonly #options: ConnectOptions
  /** HTTP/2 connections to the proxy that tunnels or proxied requests came over. */
  readonly #sessions = new Set<Http2Session>()

  constructor (options: ConnectOptions) {
    this.#options = options
  }

  /** The listener of an HTTP/1.1 server's 'connect' event. */
  readonly onConnect = (raw: IncomingMessage, socket: Socket, head: Buffer): void => {
    const response = new ServerResponse(raw)
    const connect = new Connect(socket, head, response, this.#options)
    whenAnswered(socket, () => {
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.on('finish', () => {
        response.detachSocket(socket)
        if (connect.tunnel === null) lingeringClose(socket)
      })
      this.#route(raw, raw.url!, response, connect)
    })
  }

  /** Takes a CONNECT stream, which stays open behind the head of its response (RFC 9113 8.5). */
  onConnectStream (raw: Http2Request, response: Http2Response): void {
    const connect = new Connect(streamSocket(raw), NO_BYTES, response, this.#options)
    this.#route(raw, raw.authority, response, connect)
  }

  /** Has `close` end an HTTP/2 connection too, when what is running on it has ended. */
  closeLater (session: Http2Session): void {
    if (this.#sessions.has(session)) return
    this.#sessions.add(session)
    session.on('close', () => this.#sessions.delete(session))
  }

  /** Refuses every CONNECT from now on, and resolves when the tunnels have ended. */
  async close (): Promise<void> {
    await this.#options.registry.close()
    // Clients keep such a connection for what they ask next, and Fastify would wait for it.
    for (const session of this.#sessions) session.close()
  }

  #route (raw: IncomingMessage | Http2Request, target: string, response: object, connect: Connect): void {
    redactHost(raw)
    this.#options.route(raw, redactUserinfo(target), connect)
    this.#options.dispatch(raw, response)
  }
}

/** Sends a 200 without the fields that a tunnel cannot have (RFC 9110 9.3.6) and those that mean nothing here. */
function sendEstablished (response: ServerResponse): void {
  response.sendDate = false
  for (const name of ['connection', 'content-length', 'transfer-encoding']) response.removeHeader(name)
  response.writeHead(200, 'Connection Established').end()
}
