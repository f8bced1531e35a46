/**
 * Limits of time: every tunnel has one watch at a time, and all of them are looked at together, which costs no timers.
 */
import type { TLSSocket } from 'node:tls'
import { findLostWrite } from '../compat/tls-handle'
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
  readonly #tlsSocket: TLSSocket
  /** What the system had been given to write when a lost write was last seen; `null`: none was. */
  #stuckAt: number | null = null

  constructor (tunnel: Tunnel, tlsSocket: TLSSocket) {
    this.#tunnel = tunnel
    this.#tlsSocket = tlsSocket
  }

  /**
   * Ends the tunnel when it is seen twice in the same state: Node reports some writes a turn of the event loop later.
   */
  check (): void {
    const stuckAt = findLostWrite(this.#tlsSocket)
    if (stuckAt !== null && stuckAt === this.#stuckAt) this.#tunnel.destroy(CLIENT_GONE)
    this.#stuckAt = stuckAt
  }
}
