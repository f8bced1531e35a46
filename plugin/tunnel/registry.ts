/** The tunnels of a proxy: how many there may be, and how they all end when it closes. */
import type { Socket } from 'node:net'
import { isIPv6 } from 'node:net'
import type { ProxyLimits, ProxyTimeouts } from '../../types/options'
import { FST_PROX_TOO_MANY_TUNNELS } from '../errors'
import { PROXY_CLOSED } from './endings'
import type { OutcomeReporter } from './outcome'
import { Tunnel } from './tunnel'
import type { TunnelRequest } from './tunnel'
import { Watchdog } from './watchdog'

/** How often tunnels that have become idle are looked for while the proxy closes, in milliseconds. */
const CLOSING_POLL = 50

export interface RegistryOptions {
  readonly limits: Required<ProxyLimits>
  readonly keepAliveMax: number
  readonly timeouts: Pick<Required<ProxyTimeouts>, 'close'>
  /** The limits that the watchdog has to look after, in milliseconds; 0: none. */
  readonly watched: number[]
  readonly reporter: OutcomeReporter
  /** Ends HTTP/2 sessions when the streams that they have are done. */
  readonly closeSessions: () => void
}

export class TunnelRegistry {
  readonly #options: RegistryOptions
  readonly #open = new Set<Tunnel>()
  /** Of every CONNECT, from its arrival to its end, with the tunnel that it became; and those to passed hosts. */
  readonly #sockets = new Map<Socket, Tunnel | null>()
  readonly #counts = new ClientCounts()
  readonly #watchdog: Watchdog
  #onEmpty: (() => void) | null = null
  #closing = false

  constructor (options: RegistryOptions) {
    this.#options = options
    this.#watchdog = new Watchdog(this.#open, options.watched)
  }

  /** Whether a tunnel should end after its response, for there are many tunnels or little time. */
  get shouldCloseAfterResponse (): boolean { return this.#closing || this.#open.size > this.#options.keepAliveMax }

  get isClosing (): boolean { return this.#closing }

  /**
   * Counts the socket of a CONNECT until it closes, and sees to it that it does not outlive the proxy.
   * @returns `null`, or FST_PROX_TOO_MANY_TUNNELS over a limit; then the socket is not counted
   */
  track (socket: Socket, remoteAddress: string | undefined): Error | null {
    const { tunnels, tunnelsPerClient } = this.#options.limits
    const client = clientKey(remoteAddress)
    const isFull = this.#counts.total >= tunnels
    const refusal = isFull || this.#counts.of(client) >= tunnelsPerClient
      ? new FST_PROX_TOO_MANY_TUNNELS(isFull ? tunnels : tunnelsPerClient)
      : null
    this.#sockets.set(socket, null)
    if (refusal === null) this.#counts.add(client)
    socket.on('close', () => {
      if (refusal === null) this.#counts.remove(client)
      this.#forget(socket)
    })
    return refusal
  }

  /** Sees to it that a socket does not outlive the proxy. */
  keep (socket: Socket): void {
    this.#sockets.set(socket, null)
    socket.on('close', () => this.#forget(socket))
  }

  /** Opens a tunnel on a tracked socket; its end is reported when the socket closes. */
  open (socket: Socket, request: TunnelRequest): Tunnel {
    const tunnel = new Tunnel(socket, request)
    this.#sockets.set(socket, tunnel)
    this.#open.add(tunnel)
    this.#watchdog.start()
    return tunnel
  }

  #forget (socket: Socket): void {
    const tunnel = this.#sockets.get(socket)!
    this.#sockets.delete(socket)
    if (tunnel !== null) {
      this.#options.reporter.closed(tunnel)
      this.#open.delete(tunnel)
      tunnel.release()
      if (this.#open.size === 0) this.#watchdog.stop()
    }
    if (this.#sockets.size === 0) this.#onEmpty?.()
  }

  /** Ends idle tunnels at once, busy ones after their response, and what is left after the grace period. */
  async close (): Promise<void> {
    this.#closing = true
    if (this.#sockets.size === 0) return
    const empty = new Promise<void>((resolve) => { this.#onEmpty = resolve })
    const poll = setInterval(this.#closeIdle, CLOSING_POLL)
    const grace = setTimeout(() => {
      for (const tunnel of this.#open) tunnel.destroy(PROXY_CLOSED)
      for (const socket of this.#sockets.keys()) socket.destroy()
    }, this.#options.timeouts.close)
    this.#closeIdle()
    await empty
    clearInterval(poll)
    clearTimeout(grace)
  }

  readonly #closeIdle = (): void => {
    this.#options.closeSessions()
    for (const tunnel of this.#open) closeIfIdle(tunnel)
  }
}

/** Ends a tunnel that has no request to answer; HTTP/2 sessions, WebSockets and what is passed end otherwise. */
function closeIfIdle (tunnel: Tunnel): void {
  if (tunnel.state === 'http2' || tunnel.state === 'upgraded' || tunnel.state === 'passing') return
  if (tunnel.state !== 'http1') return tunnel.destroy(PROXY_CLOSED)
  if (tunnel.isAnswering()) return
  tunnel.ending = PROXY_CLOSED
  tunnel.innerSocket!.destroySoon()
}

/** How many tunnels there are, in all and for each client. */
class ClientCounts {
  total = 0
  readonly #byClient = new Map<string, number>()

  of (client: string | null): number {
    return client === null ? 0 : this.#byClient.get(client) ?? 0
  }

  add (client: string | null): void {
    this.total++
    if (client !== null) this.#byClient.set(client, this.of(client) + 1)
  }

  remove (client: string | null): void {
    this.total--
    if (client === null) return
    const others = this.of(client) - 1
    if (others === 0) this.#byClient.delete(client)
    else this.#byClient.set(client, others)
  }
}

/**
 * What clients are counted by: their IPv4 address, also where a dual-stack socket shows it as an IPv6 one; or the /64
 * of their IPv6 address, all of which one client has (RFC 6177 2). `null`: there is no address, as on a unix socket.
 */
export function clientKey (address: string | undefined): string | null {
  if (address === undefined) return null
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped !== null) return mapped[1]!
  const [head = '', tail = ''] = address.split('%', 1)[0]!.toLowerCase().split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === '' ? [] : tail.split(':')
  const groups = [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last]
  return `${groups.slice(0, 4).join(':')}::/64`
}
