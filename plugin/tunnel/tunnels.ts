/** The tunnels that are open: how many there may be, what they share, how they all end. */
import type { Socket } from 'node:net'
import { LRUCache } from 'lru-cache'
import type { ProxyLimits, ProxyTimeouts } from '../../types/options'
import type { CertificateAuthority } from '../ca/authority'
import { FST_PROX_TOO_MANY_TUNNELS } from '../errors'
import type { TunnelServers } from './servers'
import type { TunnelRequest } from './tunnel'
import { Tunnel } from './tunnel'

/** How many pairs of client and host are remembered as having been warned. */
const REFUSALS_MAX = 1_000

/** How often tunnels that have become idle are looked for while the proxy closes, in milliseconds. */
const CLOSING_POLL = 50

/** Bounds of the time between two looks for idle tunnels, in milliseconds; a fourth of the limit is what is wanted. */
const SWEEP_MIN = 10
const SWEEP_MAX = 5_000

/** ALPN protocol names in wire format (RFC 7301 3.1), in order of preference. */
const ALPN_HTTP1 = Buffer.from('\x08http/1.1\x08http/1.0', 'latin1')
const ALPN_H2 = Buffer.concat([Buffer.from('\x02h2', 'latin1'), ALPN_HTTP1])

/** What every tunnel of a server shares. */
export interface TunnelHouse {
  readonly ca: CertificateAuthority
  readonly servers: TunnelServers
  readonly timeouts: Required<ProxyTimeouts>
  readonly http2: boolean
  readonly alpnProtocols: Uint8Array
  /** Takes a line in the format of `SSLKEYLOGFILE`. */
  readonly keyLog: ((line: Buffer) => void) | null
  /** There are so many tunnels, or so little time, that each should end after its response. */
  readonly crowded: boolean
  forget (tunnel: Tunnel): void
  /** Whether it is news that a client does not trust the certificate of a host. */
  isFirstRefusal (clientAndHost: string): boolean
}

export interface TunnelSettings {
  readonly timeouts: Required<ProxyTimeouts>
  readonly limits: Required<ProxyLimits>
  readonly http2: boolean
  readonly keepAliveMax: number
  readonly keyLog: ((line: Buffer) => void) | null
}

export class Tunnels implements TunnelHouse {
  readonly ca: CertificateAuthority
  readonly servers: TunnelServers
  readonly timeouts: Required<ProxyTimeouts>
  readonly http2: boolean
  readonly alpnProtocols: Uint8Array
  readonly keyLog: ((line: Buffer) => void) | null
  readonly #limits: Required<ProxyLimits>
  readonly #keepAliveMax: number
  readonly #open = new Set<Tunnel>()
  /** Of every CONNECT, from its arrival to its end, whether it became a tunnel or not. */
  readonly #sockets = new Set<Socket>()
  readonly #perClient = new Map<string, number>()
  readonly #refusals = new LRUCache<string, true>({ max: REFUSALS_MAX })
  #sweeper: NodeJS.Timeout | undefined
  #onEmpty: (() => void) | null = null
  #closing = false

  constructor (ca: CertificateAuthority, servers: TunnelServers, settings: TunnelSettings) {
    this.ca = ca
    this.servers = servers
    this.timeouts = settings.timeouts
    this.keyLog = settings.keyLog
    this.#limits = settings.limits
    this.http2 = settings.http2
    this.alpnProtocols = settings.http2 ? ALPN_H2 : ALPN_HTTP1
    this.#keepAliveMax = settings.keepAliveMax
  }

  get crowded (): boolean { return this.#closing || this.#open.size > this.#keepAliveMax }

  /** Knows of a socket, so that it will not outlive the proxy. */
  hold (socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) this.#onEmpty?.()
    })
  }

  /**
   * Takes a socket in as a tunnel that is not started yet.
   * @throws FST_PROX_TOO_MANY_TUNNELS over a limit
   */
  admit (socket: Socket, request: TunnelRequest): Tunnel {
    const { tunnels, tunnelsPerClient } = this.#limits
    const client = request.remoteAddress
    const ofClient = client === undefined ? 0 : this.#perClient.get(client) ?? 0
    if (this.#open.size >= tunnels) throw new FST_PROX_TOO_MANY_TUNNELS(tunnels)
    if (ofClient >= tunnelsPerClient) throw new FST_PROX_TOO_MANY_TUNNELS(tunnelsPerClient)
    const tunnel = new Tunnel(this, socket, request)
    this.#open.add(tunnel)
    this.#sweeper ??= this.#startSweeper()
    if (client !== undefined) this.#perClient.set(client, ofClient + 1)
    return tunnel
  }

  forget (tunnel: Tunnel): void {
    this.#open.delete(tunnel)
    const client = tunnel.remoteAddress
    if (client !== undefined) {
      const others = this.#perClient.get(client)! - 1
      if (others === 0) this.#perClient.delete(client)
      else this.#perClient.set(client, others)
    }
    if (this.#open.size > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }

  isFirstRefusal (clientAndHost: string): boolean {
    if (this.#refusals.has(clientAndHost)) return false
    this.#refusals.set(clientAndHost, true)
    return true
  }

  /** Ends idle tunnels at once, busy ones after their response, and what is left after the grace period. */
  async close (): Promise<void> {
    this.#closing = true
    if (this.#sockets.size > 0) await this.#drain()
    this.servers.close()
  }

  async #drain (): Promise<void> {
    const empty = new Promise<void>((resolve) => { this.#onEmpty = resolve })
    const closeIdle = (): void => {
      this.servers.closeSessions()
      for (const tunnel of this.#open) tunnel.closeIfIdle()
    }
    const poll = setInterval(closeIdle, CLOSING_POLL)
    const grace = setTimeout(() => {
      for (const tunnel of this.#open) tunnel.destroy('the proxy closed')
      for (const socket of this.#sockets) socket.destroy()
    }, this.timeouts.close)
    closeIdle()
    await empty
    clearInterval(poll)
    clearTimeout(grace)
  }

  #startSweeper (): NodeJS.Timeout | undefined {
    const { idle } = this.timeouts
    if (idle === 0) return undefined
    const period = Math.min(Math.max(idle / 4, SWEEP_MIN), SWEEP_MAX)
    return setInterval(() => {
      const now = Date.now()
      for (const tunnel of this.#open) tunnel.sweep(now, idle)
    }, period).unref()
  }
}
