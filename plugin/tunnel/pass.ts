/** `pass()`: the word of a policy by which a tunnel is passed through unread, and who dials what it leads to. */
import type { Socket } from 'node:net'
import { Dialer } from '../../net/dialer'
import { AddressGuard, assertAllowOption, ownAddresses } from '../../net/guard'
import type { OwnAddresses } from '../../net/guard'
import { UpstreamTls } from '../../net/tls'
import { proxyChooser } from '../../net/via'
import type { ChooseProxy, SchemeTarget } from '../../net/via'
import type { Pass, PassOptions } from '../../types/options'
import type { Authority } from '../http/target'
import { FUNCTION, MILLISECONDS, checkOptions } from '../option-rules'
import type { Rules } from '../option-rules'

const TIMEOUT = 10_000

/** What `setTimeout` takes at most. */
const NO_LIMIT = 2 ** 31 - 1

/** Checked where they are read. */
const ANYTHING = { takes: 'anything', accepts: () => true }
const RULES: Rules<keyof PassOptions> = { allow: ANYTHING, via: ANYTHING, timeout: MILLISECONDS, lookup: FUNCTION }

/** What `pass()` returns; nothing else counts as that. */
export class PassDecision implements Pass {
  readonly allow: NonNullable<PassOptions['allow']>
  readonly via: NonNullable<PassOptions['via']>
  readonly timeout: number
  readonly lookup: PassOptions['lookup']
  /** `null`: no target has an upstream proxy. */
  readonly chooseProxy: ChooseProxy<SchemeTarget> | null

  /** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION */
  constructor (options: PassOptions) {
    checkOptions(options, RULES)
    const { allow = 'public', via = false, timeout = TIMEOUT, lookup } = options
    assertAllowOption(allow)
    this.allow = allow
    this.via = via
    this.timeout = timeout
    this.lookup = lookup
    this.chooseProxy = proxyChooser<SchemeTarget>(via)
  }
}

const BY_DEFAULT = new PassDecision({})

/**
 * The answer of `onConnect` that has a tunnel passed through: its bytes are relayed to the host that it names, and
 * nothing of it is decrypted. The host is dialled before the CONNECT is answered: 403 when its address is not allowed
 * (FST_PROX_ADDRESS_REFUSED), 504 when it takes longer than `timeout` (FST_PROX_UPSTREAM_TIMEOUT), 502 for every other
 * failure (FST_PROX_UPSTREAM_…).
 *
 * @param options.allow which addresses may be connected to. Default `'public'`
 * @param options.via an upstream proxy; `'env'`: that of `HTTPS_PROXY`, unless `NO_PROXY` has the host. Default: none
 * @param options.timeout milliseconds for the name, the connection and the upstream proxy together; 0: no limit.
 * Default 10,000
 * @param options.lookup resolves names in place of `dns.lookup`
 * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION
 * @example onConnect: ({ hostname }) => hostname === 'updates.example.com' ? pass() : undefined
 */
export function pass (options?: PassOptions): Pass {
  return options === undefined ? BY_DEFAULT : new PassDecision(options)
}

export class PassDialer {
  readonly #own: OwnAddresses
  readonly #track: (socket: Socket) => void
  readonly #dialers = new WeakMap<PassDecision, Dialer>()
  #tls: UpstreamTls | null = null

  /**
   * @param server the proxy, whose own addresses are never dialled
   * @param track told of every socket that is open
   */
  constructor (server: Parameters<typeof ownAddresses>[0], track: (socket: Socket) => void) {
    this.#own = ownAddresses(server)
    this.#track = track
  }

  /**
   * Dials a host for a client, as long as that is there.
   * @returns `null`: the client has left
   * @throws what `Dialer.dial` throws
   */
  async dial (decision: PassDecision, { hostname, port }: Authority, client: Socket): Promise<Socket | null> {
    // Tunnels are for HTTPS as a rule: it is HTTPS_PROXY that counts.
    const target = { scheme: 'https' as const, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port }
    const controller = new AbortController()
    const { signal } = controller
    const abort = (): void => controller.abort()
    client.on('close', abort)
    if (client.destroyed) abort()
    let socket: Socket | null = null
    try {
      const proxy = await decision.chooseProxy?.(target) ?? null
      const deadline = performance.now() + (decision.timeout || NO_LIMIT)
      const dialled = await this.#dialerOf(decision).dial(target, proxy, { deadline, signal, allowHalfOpen: true })
      socket = dialled.socket
    } catch (err) {
      if (!signal.aborted) throw err
    } finally {
      client.off('close', abort)
    }
    if (socket === null) return null
    // Who relays hears of errors by itself.
    socket.on('error', () => {})
    this.#track(socket)
    return socket
  }

  #dialerOf (decision: PassDecision): Dialer {
    let dialer = this.#dialers.get(decision)
    if (dialer === undefined) {
      dialer = new Dialer({
        guard: new AddressGuard(decision.allow, this.#own),
        proxyGuard: new AddressGuard(() => true, this.#own),
        tls: { secure: async (...args) => await (this.#tls ??= new UpstreamTls(undefined, {})).secure(...args) },
        lookup: decision.lookup
      })
      this.#dialers.set(decision, dialer)
    }
    return dialer
  }
}
