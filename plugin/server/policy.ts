/** Who may open tunnels, and to which hosts: the resolver's `requireAuth`, and the option `onConnect`. */
import type { ConnectContext, OnConnect, ProxyCredentials, ProxyResolver } from '../../types/options'
import type { ProxyTunnel } from '../../types/request'
import { FST_PROX_BAD_DECISION, FST_PROX_CONNECT_REFUSED, show, thrownBy } from '../errors'
import { askForCredentials } from '../http/credentials'
import { PassDecision } from '../tunnel/pass'

/** How many further hosts of one tunnel have their decision remembered. */
const REMEMBERED_MAX = 100

const allowAll = (): void => {}

/** A CONNECT that may be answered. */
export interface AllowedConnect {
  /** With the credentials that were accepted. */
  readonly context: ConnectContext
  /** `null`: the tunnel is intercepted. */
  readonly decision: PassDecision | null
}

export class ConnectPolicy {
  readonly #resolver: ProxyResolver
  readonly #onConnect: OnConnect | undefined

  constructor (resolver: ProxyResolver, onConnect: OnConnect | undefined) {
    this.#resolver = resolver
    this.#onConnect = onConnect
  }

  /**
   * Asks whether a CONNECT may be answered; answers in the same tick when there is nobody to ask.
   * @param readings of the client's credentials, the likeliest first
   * @throws the error to answer with, as the reason of the promise
   */
  assertAllowed (
    context: ConnectContext, readings: readonly ProxyCredentials[]
  ): AllowedConnect | Promise<AllowedConnect> {
    const asks = this.#resolver.requireAuth !== undefined || this.#onConnect !== undefined
    return asks ? this.#ask(context, readings) : { context, decision: null }
  }

  async #ask (context: ConnectContext, readings: readonly ProxyCredentials[]): Promise<AllowedConnect> {
    const credentials = await askForCredentials(this.#resolver, context, readings)
    const accepted = { ...context, credentials }
    if (this.#onConnect === undefined) return { context: accepted, decision: null }
    return { context: accepted, decision: await decide(this.#onConnect, accepted) }
  }

  /**
   * Asks whether a tunnel may speak for further hosts, of which its client names one in the TLS handshake or in a
   * request; once for each host.
   * @param context what was allowed
   * @param decision how
   */
  forTunnel (
    context: ConnectContext, decision: PassDecision | null
  ): (hostname: string, tunnel: ProxyTunnel) => void | Promise<PassDecision | null> {
    const onConnect = this.#onConnect
    if (onConnect === undefined) return allowAll
    const { port } = context
    const decisions = new Map([[context.hostname, decision]])
    return async (hostname, tunnel) => {
      const known = decisions.get(hostname)
      if (known !== undefined) return known
      const authority = `${hostname}:${port}`
      const { servername } = tunnel
      const made = await decide(onConnect, { ...context, hostname, authority, servername, tunnel })
      if (decisions.size <= REMEMBERED_MAX) decisions.set(hostname, made)
      return made
    }
  }
}

/** @throws for every decision but `pass()` and nothing, so that a policy with a mistake in it opens no tunnels */
async function decide (onConnect: OnConnect, context: ConnectContext): Promise<PassDecision | null> {
  let decision: unknown
  try {
    decision = await onConnect(context)
  } catch (err) {
    throw thrownBy('onConnect', err)
  }
  if (decision === undefined || decision === null) return null
  if (decision instanceof PassDecision) return decision
  if (!Number.isInteger(decision) || Number(decision) < 400 || Number(decision) > 599) {
    throw new FST_PROX_BAD_DECISION(show(decision))
  }
  throw Object.assign(new FST_PROX_CONNECT_REFUSED(context.authority), { statusCode: decision })
}
