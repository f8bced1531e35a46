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
import { serveTunnel } from '../tunnel/intercept'
import type { InterceptOptions } from '../tunnel/intercept'
import { lingeringClose } from '../tunnel/lingering-close'
import type { TunnelRegistry } from '../tunnel/registry'
import { streamSocket } from '../tunnel/stream-socket'
import type { Tunnel } from '../tunnel/tunnel'
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

export class ConnectServer {
  readonly #options: ConnectOptions
  /** HTTP/2 connections to the proxy that tunnels or proxied requests came over. */
  readonly #sessions = new Set<Http2Session>()

  constructor (options: ConnectOptions) {
    this.#options = options
  }

  /** The listener of an HTTP/1.1 server's 'connect' event. */
  readonly onConnect = (raw: IncomingMessage, socket: Socket, head: Buffer): void => {
    const pending = this.#track(socket, () => sendEstablished(response), head)
    const response = new ServerResponse(raw)
    whenAnswered(socket, () => {
      response.shouldKeepAlive = false
      response.assignSocket(socket)
      response.on('finish', () => {
        response.detachSocket(socket)
        if (pending.tunnel === null) lingeringClose(socket)
      })
      this.#route(raw, raw.url!, response, pending)
    })
  }

  /** Takes a CONNECT stream, which stays open behind the head of its response (RFC 9113 8.5). */
  onConnectStream (raw: Http2Request, response: Http2Response): void {
    const pending = this.#track(streamSocket(raw), () => { response.writeHead(200) }, NO_BYTES)
    this.#route(raw, raw.authority, response, pending)
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

  #track (socket: Socket, sendEstablished: () => void, head: Buffer): PendingConnect {
    const { registry, policy, intercept: options } = this.#options
    socket.on('error', () => {})
    return {
      socket,
      policy,
      refusal: registry.track(socket, socket.remoteAddress),
      isClosing: () => registry.isClosing,
      dial: async (decision, target) => await options.passDialer.dial(decision, target, socket),
      establish: (request, upstream): Tunnel => {
        const tunnel = registry.open(socket, request)
        sendEstablished()
        serveTunnel(tunnel, upstream, head, options)
        return tunnel
      },
      tunnel: null
    }
  }

  #route (raw: IncomingMessage | Http2Request, target: string, response: object, pending: PendingConnect): void {
    redactHost(raw)
    this.#options.route(raw, redactUserinfo(target), pending)
    this.#options.dispatch(raw, response)
  }
}

/** Sends a 200 without the fields that a tunnel cannot have (RFC 9110 9.3.6) and those that mean nothing here. */
function sendEstablished (response: ServerResponse): void {
  response.sendDate = false
  for (const name of ['connection', 'content-length', 'transfer-encoding']) response.removeHeader(name)
  response.writeHead(200, 'Connection Established').end()
}
