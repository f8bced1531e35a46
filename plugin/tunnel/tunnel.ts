/** The record of a tunnel: who opened it, how far it has come, what it has done. Other modules act on it. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { Leaf } from '../../types/ca'
import type { ProxyCredentials } from '../../types/options'
import type { ProxyTunnel } from '../../types/request'
import type { Authority, Origin } from '../http/target'
import { CLIENT_CLOSED } from './endings'
import type { TunnelEnd } from './endings'
import type { PassDecision } from './pass'

/**
 * - `opening`: the CONNECT is not answered yet
 * - `sniffing`: the first bytes are read
 * - `handshake`: TLS
 * - `http1`, `http2`: requests are served
 * - `upgraded`: the socket belongs to a WebSocket, which ends it
 * - `passing`: the bytes are relayed to the host, and those of the host to the client
 */
export type TunnelState = 'opening' | 'sniffing' | 'handshake' | 'http1' | 'http2' | 'upgraded' | 'passing'

/** What the CONNECT request tells of a tunnel. */
export interface TunnelRequest {
  /** The id of the CONNECT request. */
  readonly id: string
  readonly target: Authority
  /** `host:port` of the target. */
  readonly authority: string
  readonly credentials: ProxyCredentials | null
  readonly remoteAddress: string | undefined
  /** Its lines carry the id of the CONNECT request. */
  readonly log: FastifyBaseLogger
  /**
   * Asks the policy whether the tunnel may speak for a host other than the CONNECT's: one that its client named as TLS
   * server name, or in a request. The promise may reject, with the error to answer with.
   * @returns `null` or nothing: it may, and what it says is intercepted
   */
  readonly authorize: (hostname: string, tunnel: ProxyTunnel) => void | Promise<PassDecision | null>
}

/** Delay of the first TCP keep-alive probe to a silent client, in milliseconds. */
const TCP_KEEP_ALIVE = 60_000

/** A limit of time of one tunnel. */
export interface Watch {
  /**
   * Ends the tunnel when the time has run out.
   * @param now milliseconds since the epoch
   */
  check (now: number): void
}

export class Tunnel {
  readonly socket: Socket
  readonly request: TunnelRequest
  readonly openedAt = Date.now()
  state: TunnelState = 'opening'
  /** The TLS server name that the client sent, if it is a host name. */
  servername: string | null = null
  /** What ALPN chose. */
  alpn: string | null = null
  tlsVersion: string | null = null
  /** What `request.proxy.tunnel` holds; `null` until requests are served. */
  info: ProxyTunnel | null = null
  /** The certificate that the client was shown; `null` in a plain tunnel. */
  leaf: Leaf | null = null
  /** The part of the URL that requests share; `null` until requests are served. */
  origin: Origin | null = null
  /** What requests are read from: the socket, or the TLS socket on it; `null` until requests are served. */
  innerSocket: Socket | null = null
  requests = 0
  /** Whether the tunnel is passed through. */
  passed = false
  /** The response to the last HTTP/1.1 request. */
  response: ServerResponse | null = null
  /** The limit of time that holds now. */
  watch: Watch | null = null
  /** Looks after a client that is gone; `null` in a plain tunnel. */
  peerWatch: Watch | null = null
  /** When a full TLS 1.2 handshake ended, in milliseconds since the epoch, and what the client had sent by then. */
  secured: { readonly at: number, readonly bytesRead: number } | null = null
  /** Why the tunnel ends, for the report when the socket has closed. */
  ending: TunnelEnd = CLIENT_CLOSED

  constructor (socket: Socket, request: TunnelRequest) {
    this.socket = socket
    this.request = request
  }

  /** What is known of the tunnel by now, for hooks and requests. */
  describe (): ProxyTunnel {
    const { request: { id, authority, remoteAddress }, servername, alpn, tlsVersion } = this
    return Object.freeze({ id, authority, servername, alpn, tlsVersion, remoteAddress })
  }

  /** Has the system find out whether a client that is silent is still there. */
  probe (): void {
    this.socket.setKeepAlive(true, TCP_KEEP_ALIVE)
  }

  /** Ends the tunnel at once. */
  destroy (ending: TunnelEnd): void {
    this.ending = ending
    this.socket.destroy()
  }

  /**
   * Lets go of what a tunnel that has ended holds. Its sockets live until V8 collects its old generation, since they
   * have native handles, and so does what they lead to.
   */
  release (): void {
    this.response = null
    this.innerSocket = null
    this.watch = null
    this.peerWatch = null
  }

  /** Whether an HTTP/1.1 request is being answered. */
  isAnswering (): boolean {
    if (this.response?.writableFinished === true) this.response = null
    return this.response !== null
  }
}
