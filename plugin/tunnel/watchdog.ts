/**
 * Limits of time: every tunnel has one watch at a time, and all of them are looked at together, which costs no timers.
 */
import type { TLSSocket } from 'node:tls'
import { ResetDetector } from '../compat/tls-handle'
import { CLIENT_GONE } from './endings'
import type { TunnelEnd } from './endings'
import type { Tunnel, Watch } from './tunnel'

/** Bounds of the time between two checks, in milliseconds; a fourth of the shortest limit lies between them. */
const PERIOD_MIN = 10
const PERIOD_MAX = 5_000

/** Checks the watches of tunnels periodically, while there are any. */
export class Watchdog {
  readonly #tunnels: ReadonlySet<Tunnel>
  readonly #period: number
  #timer: NodeJS.Timeout | undefined

  /**
   * @param tunnels those that are open
   * @param limits in milliseconds, 0: none
   */
  constructor (tunnels: ReadonlySet<Tunnel>, limits: number[]) {
    this.#tunnels = tunnels
    const shortest = Math.min(...limits.filter((limit) => limit > 0))
    this.#period = Math.min(Math.max(Math.ceil(shortest / 4), PERIOD_MIN), PERIOD_MAX)
  }

  start (): void {
    this.#timer ??= setInterval(() => {
      const now = Date.now()
      for (const { watch, peerWatch } of this.#tunnels) {
        watch?.check(now)
        peerWatch?.check(now)
      }
    }, this.#period).unref()
  }

  stop (): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Tells for how long a count of bytes has stayed the same. */
export class Silence {
  #bytes = -1
  #since = 0

  /**
   * @param now milliseconds since the epoch
   * @returns milliseconds; 0 when the count is another one than at the last call
   */
  measure (bytes: number, now: number): number {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#since = now
    }
    return now - this.#since
  }

  /** Begins anew. */
  restart (now: number): void {
    this.#since = now
  }
}

/** Gives a tunnel some time for one step. */
export class Deadline implements Watch {
  readonly #tunnel: Tunnel
  readonly #at: number
  readonly #ending: TunnelEnd

  /** @param milliseconds 0: no limit */
  constructor (tunnel: Tunnel, milliseconds: number, ending: TunnelEnd) {
    this.#tunnel = tunnel
    this.#at = milliseconds > 0 ? Date.now() + milliseconds : Infinity
    this.#ending = ending
  }

  check (now: number): void {
    if (now >= this.#at) this.#tunnel.destroy(this.#ending)
  }
}

/** Ends a tunnel whose client has reset the connection under TLS without Node noticing. */
export class PeerWatch implements Watch {
  readonly #tunnel: Tunnel
  readonly #detector: ResetDetector

  constructor (tunnel: Tunnel, tlsSocket: TLSSocket) {
    this.#tunnel = tunnel
    this.#detector = new ResetDetector(tlsSocket)
  }

  check (): void {
    if (this.#detector.check()) this.#tunnel.destroy(CLIENT_GONE)
  }
}
