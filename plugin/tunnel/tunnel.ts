/** The life of one tunnel: first bytes, TLS or none, the protocol inside, the end. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FastifyBaseLogger, FastifyError } from 'fastify'
import type { ProxyCredentials } from '../../types/options'
import type { ProxyTunnel } from '../../types/request'
import type { Leaf } from '../ca/authority'
import { parseServerName } from '../http/host'
import type { Authority, Origin, Scheme } from '../http/target'
import { originOf } from '../http/target'
import { serverNameOf } from './client-hello'
import { handshakeFailed, tunnelClosed, tunnelIntercepted, tunnelOpened } from './events'
import type { TunnelEvent } from './events'
import { describeHandshakeFailure, LEFT_AFTER_HANDSHAKE, LEFT_IN_HANDSHAKE } from './handshake'
import type { HandshakeFailure } from './handshake'
import { sniff } from './sniff'
import { passAddress } from './stream-socket'
import type { TunnelHouse } from './tunnels'

/** Delay of the first TCP keep-alive probe to a silent client, in milliseconds. */
const TCP_KEEP_ALIVE = 60_000

/** Characters of a server name in a log line. */
const LONGEST_NAME = 253

const CLOSED_BY_CLIENT = 'closed by the client'

/** What a TLS client that never asked anything has sent at most after its handshake: a close_notify alert in a record. */
const CLOSE_NOTIFY_LENGTH = 64

/** How soon a client leaves that did not like the certificate, in milliseconds. */
const PROMPT = 1_000

/** Fatal alerts in place of a ServerHello (RFC 8446 6): unrecognized_name, internal_error. */
const UNRECOGNIZED_NAME = Buffer.from('15030300020270', 'hex')
const INTERNAL_ERROR = Buffer.from('15030300020250', 'hex')

/** A TLSSocket keeps its errors to itself until the server that made it hands it over. */
interface ReleasableSocket {
  _releaseControl (): boolean
}

type Level = 'debug' | 'info' | 'warn' | 'error'

/** What CONNECT knows of a tunnel when it opens. */
export interface TunnelRequest {
  readonly id: string
  readonly target: Authority
  readonly authority: string
  readonly credentials: ProxyCredentials | null
  readonly remoteAddress: string | undefined
  /** Its lines carry the id of the CONNECT request. */
  readonly log: FastifyBaseLogger
}

export class Tunnel {
  readonly #house: TunnelHouse
  readonly #socket: Socket
  readonly #request: TunnelRequest
  readonly #openedAt = Date.now()
  #info: ProxyTunnel
  /** What the client sent, until it tells what the client speaks. */
  #head: Buffer | null = null
  #leaf: Leaf | null = null
  #origin: Origin | null = null
  #deadline: NodeJS.Timeout | undefined
  /** What the log line of the end says, and how loudly. */
  #reason = CLOSED_BY_CLIENT
  #level: Level = 'debug'
  #detail: object = {}
  /** When a full TLS 1.2 handshake ended, and what the client had sent by then. */
  #secured: { at: number, bytesRead: number } | null = null
  #requests = 0
  /** The response to the last request, over HTTP/1.1; forgotten when it is seen to have ended. */
  #response: ServerResponse | null = null
  /** What requests come from: the socket, or TLS on it. */
  #carrier: Socket | null = null
  /** Whatever speaks HTTP/2 or WebSocket sees to the end of this tunnel. */
  #endsElsewhere = false
  #bytesSeen = 0
  #quietSince = 0

  constructor (house: TunnelHouse, socket: Socket, request: TunnelRequest) {
    this.#house = house
    this.#socket = socket
    this.#request = request
    const { id, authority, remoteAddress } = request
    this.#info = { id, authority, servername: null, alpn: null, tlsVersion: null, remoteAddress }
  }

  /** What `request.proxy.tunnel` holds; complete when the first request comes. */
  get info (): ProxyTunnel { return this.#info }
  get log (): FastifyBaseLogger { return this.#request.log }
  get credentials (): ProxyCredentials | null { return this.#request.credentials }
  get remoteAddress (): string | undefined { return this.#request.remoteAddress }
  /** The part of the URL that requests of this tunnel share. */
  get origin (): Origin { return this.#origin! }
  get requests (): number { return this.#requests }

  /** The certificate that the client was shown is good for this host. */
  covers (hostname: string): boolean {
    return this.#leaf !== null && this.#leaf.covers(hostname)
  }

  /** To be called once the client has been told that the tunnel is open. */
  start (head: Buffer): void {
    const socket = this.#socket
    if (tunnelOpened.hasSubscribers) tunnelOpened.publish(this.#event())
    socket.setKeepAlive(true, TCP_KEEP_ALIVE)
    // What the server counted for the connection; the tunnel has limits of its own.
    socket.setTimeout(0)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    socket.on('end', this.#onEarlyEnd)
    socket.on('readable', this.#onReadable)
    this.#limit(this.#house.timeouts.firstByte, 'no first bytes in time')
    // It may have ended its side while a hook was busy, and that is told once.
    if (socket.readableEnded) this.#onEarlyEnd()
    else if (head.length > 0) socket.unshift(head)
  }

  /** Counts a request; returns whether the tunnel should end after its response. */
  beginRequest (response: ServerResponse | null): boolean {
    this.#requests++
    this.#response = response
    return this.#house.crowded
  }

  /** The socket belongs to a WebSocket from now on, which ends as it likes. */
  beginUpgrade (): void {
    this.#requests++
    this.#endsElsewhere = true
  }

  /** Ends the tunnel when its client has been silent between requests for `idle` milliseconds. */
  sweep (now: number, idle: number): void {
    const { bytesRead } = this.#socket
    if (this.#origin === null || this.#endsElsewhere || this.#isAnswering() || bytesRead !== this.#bytesSeen) {
      this.#bytesSeen = bytesRead
      this.#quietSince = now
    } else if (now - this.#quietSince >= idle) {
      this.destroy('idle')
    }
  }

  /** Ends the tunnel when it has no request to answer; not an HTTP/2 session or a WebSocket, which others end. */
  closeIfIdle (): void {
    if (this.#origin === null) return this.destroy('the proxy closed')
    if (this.#endsElsewhere || this.#isAnswering()) return
    this.#reason = 'the proxy closed'
    this.#carrier!.destroySoon()
  }

  #isAnswering (): boolean {
    if (this.#response?.writableFinished === true) this.#response = null
    return this.#response !== null
  }

  /** Ends the tunnel at once; the reason, and whatever else is known, are for the log. */
  destroy (reason: string, level = this.#level, detail: object = {}): void {
    this.#explain(reason, level, detail)
    this.#socket.destroy()
  }

  readonly #onReadable = (): void => {
    const chunk: Buffer | null = this.#socket.read()
    if (chunk === null) return
    const begins = this.#head === null
    this.#head = begins ? chunk : Buffer.concat([this.#head!, chunk])
    const protocol = sniff(this.#head)
    if (protocol === undefined) return
    if (protocol === null) return this.destroy('neither TLS nor HTTP', 'info', { firstBytes: this.#head.toString('hex', 0, 16) })
    if (protocol === 'h2c' && !this.#house.http2) return this.destroy('HTTP/2 is turned off', 'info')
    if (protocol === 'tls' && begins) this.#limit(this.#house.timeouts.handshake, 'no TLS handshake in time')
    const servername = protocol === 'tls' ? serverNameOf(this.#head) : null
    if (servername === undefined) return
    this.#socket.off('readable', this.#onReadable)
    this.#socket.unshift(this.#head)
    this.#head = null
    if (protocol === 'tls') return this.#findLeaf(servername)
    this.#settle('http', this.#request.target.hostname)
    this.#serve(this.#socket, protocol === 'h2c')
  }

  readonly #onEarlyEnd = (): void => {
    this.destroy('closed by the client before it said what it wants')
  }

  /** The certificate of the client's server name, or else of the CONNECT's host. */
  #findLeaf (servername: string | null): void {
    try {
      const leaf = this.#house.ca.leaf(this.#hostFor(servername))
      if (leaf instanceof Promise) leaf.then((leaf) => this.#intercept(leaf), this.#onNoLeaf)
      else this.#intercept(leaf)
    } catch (err) {
      this.#onNoLeaf(err as FastifyError)
    }
  }

  #hostFor (servername: string | null): string {
    if (servername === null) return this.#request.target.hostname
    const hostname = parseServerName(servername)
    if (hostname === null) {
      this.log.debug({ servername: servername.slice(0, LONGEST_NAME) }, 'TLS server name is no host name: taken as none')
      return this.#request.target.hostname
    }
    this.#info = { ...this.#info, servername: hostname }
    return hostname
  }

  #intercept (leaf: Leaf): void {
    if (this.#socket.destroyed) return
    this.#leaf = leaf
    const socket = new TLSSocket(this.#socket, {
      isServer: true,
      secureContext: leaf.secureContext,
      ALPNProtocols: this.#house.alpnProtocols
    })
    passAddress(this.#socket, socket)
    const onLeave = (): void => this.#failHandshake(LEFT_IN_HANDSHAKE)
    socket.on('error', this.#onHandshakeError)
    socket.on('end', onLeave)
    socket.once('secure', () => {
      socket.off('end', onLeave)
      socket.off('error', this.#onHandshakeError)
      socket.on('error', this.#onError)
      this.#onSecure(socket)
    })
    if (this.#house.keyLog !== null) socket.on('keylog', this.#house.keyLog)
  }

  #onSecure (socket: TLSSocket): void {
    this.#info = { ...this.#info, alpn: socket.alpnProtocol || null, tlsVersion: socket.getProtocol() }
    const { servername, alpn, tlsVersion } = this.#info
    const resumed = socket.isSessionReused()
    if (tunnelIntercepted.hasSubscribers) tunnelIntercepted.publish({ ...this.#info, resumed })
    if (tlsVersion === 'TLSv1.2' && !resumed) this.#secured = { at: Date.now(), bytesRead: this.#socket.bytesRead }
    // What a tls.Server does. Before, HTTP/2 waits for ever and nothing is written; and errors of TLS go nowhere.
    Object.assign(socket, { secureConnecting: false })
    ;(socket as unknown as ReleasableSocket)._releaseControl()
    this.#settle('https', servername ?? this.#request.target.hostname)
    this.#serve(socket, alpn === 'h2')
  }

  #settle (scheme: Scheme, hostname: string): void {
    clearTimeout(this.#deadline)
    this.#socket.off('end', this.#onEarlyEnd)
    this.#origin = originOf(scheme, hostname, this.#request.target.port)
    Object.freeze(this.#info)
  }

  #serve (socket: Socket, http2: boolean): void {
    this.#carrier = socket
    this.#endsElsewhere = http2
    this.#house.servers.take(socket, this, http2)
  }

  readonly #onHandshakeError = (err: NodeJS.ErrnoException): void => {
    this.#failHandshake(describeHandshakeFailure(err))
  }

  #failHandshake (failure: HandshakeFailure): void {
    this.#explainFailure(failure)
    this.#socket.destroy()
  }

  /** There is no certificate for this client: because of the name that it asked for, or of a fault of ours. */
  readonly #onNoLeaf = (err: FastifyError): void => {
    const asked = err.statusCode !== undefined && err.statusCode < 500
    const { code, message } = err
    this.#publishFailure(code, false)
    this.#explain(`no certificate: ${message}`, asked ? 'info' : 'error', asked ? { code } : { err })
    if (!this.#socket.destroyed) this.#socket.write(asked ? UNRECOGNIZED_NAME : INTERNAL_ERROR)
    this.#socket.destroySoon()
  }

  #explain (reason: string, level: Level, detail: object): void {
    this.#reason = reason
    this.#level = level
    this.#detail = detail
  }

  #explainFailure ({ code, refused, reason }: HandshakeFailure): void {
    this.#publishFailure(code, refused)
    if (!refused) return this.#explain(reason, 'info', { code })
    const { name, fingerprint256 } = this.#house.ca
    const { servername, remoteAddress } = this.#info
    const first = this.#house.isFirstRefusal(`${remoteAddress} ${servername ?? this.#request.target.hostname}`)
    this.#explain(`${reason} '${name}': add its certificate to what the client trusts`, first ? 'warn' : 'debug', { code, fingerprint256 })
  }

  #publishFailure (code: string, refused: boolean): void {
    const { servername } = this.#info
    if (handshakeFailed.hasSubscribers) handshakeFailed.publish({ ...this.#event(), servername, code, refused })
  }

  #limit (milliseconds: number, reason: string): void {
    clearTimeout(this.#deadline)
    if (milliseconds > 0) this.#deadline = setTimeout(() => this.destroy(reason), milliseconds)
  }

  readonly #onError = (err: NodeJS.ErrnoException): void => {
    this.#reason = err.code ?? err.message
  }

  readonly #onClose = (): void => {
    clearTimeout(this.#deadline)
    const { bytesRead, bytesWritten } = this.#socket
    if (this.#leftUnheard(bytesRead)) this.#explainFailure(LEFT_AFTER_HANDSHAKE)
    const account = {
      reason: this.#reason, requests: this.#requests, bytesRead, bytesWritten, durationMs: Date.now() - this.#openedAt
    }
    this.log[this.#level]({ ...account, ...this.#detail }, `tunnel to ${this.#info.authority} closed: ${this.#reason}`)
    if (tunnelClosed.hasSubscribers) tunnelClosed.publish({ ...this.#event(), ...account })
    this.#house.forget(this)
  }

  /** The client went as soon as it had seen the certificate, and without a word. */
  #leftUnheard (bytesRead: number): boolean {
    return this.#secured !== null && this.#reason === CLOSED_BY_CLIENT && this.#requests === 0 &&
      bytesRead - this.#secured.bytesRead <= CLOSE_NOTIFY_LENGTH && Date.now() - this.#secured.at < PROMPT
  }

  #event (): TunnelEvent {
    const { id, authority, remoteAddress } = this.#info
    return { id, authority, remoteAddress }
  }
}
