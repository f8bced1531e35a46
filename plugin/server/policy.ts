/** Who may open tunnels, and to which hosts: the resolver's `requireAuth`, and the option `onConnect`. */
import type { ConnectContext, OnConnect, ProxyCredentials, ProxyResolver } from '../../types/options'
import type { ProxyTunnel } from '../../types/request'
import { FST_PROX_BAD_DECISION, FST_PROX_CONNECT_REFUSED, show, thrownBy } from '../errors'
import { askForCredentials } from '../http/credentials'

/** How many further hosts of one tunnel are remembered as allowed. */
const ALLOWED_MAX = 100

export class ConnectPolicy {
  readonly #resolver: ProxyResolver
  readonly #onConnect: OnConnect | undefined

  constructor (resolver: ProxyResolver, onConnect: OnConnect | undefined) {
    this.#resolver = resolver
    this.#onConnect = onConnect
  }

  /**
   * Asks whether a CONNECT may be answered.
   * @param readings of the client's credentials, the likeliest first
   * @returns the context with the credentials that were accepted
   * @throws the error to answer with
   */
  async assertAllowed (context: ConnectContext, readings: readonly ProxyCredentials[]): Promise<ConnectContext> {
    const credentials = await askForCredentials(this.#resolver, context, readings)
    const accepted = { ...context, credentials }
    if (this.#onConnect !== undefined) await assertAllowed(this.#onConnect, accepted)
    return accepted
  }

  /**
   * Asks whether a tunnel may speak for further hosts, of which its client names one in the TLS handshake or in a
   * request; once for each host.
   * @param context what was allowed
   */
  forTunnel (context: ConnectContext): (hostname: string, tunnel: ProxyTunnel) => void | Promise<void> {
    const onConnect = this.#onConnect
    if (onConnect === undefined) return () => {}
    const { port } = context
    const allowed = new Set([context.hostname])
    return async (hostname, tunnel) => {
      if (allowed.has(hostname)) return
      const authority = `${hostname}:${port}`
      const { servername } = tunnel
      await assertAllowed(onConnect, { ...context, hostname, authority, servername, tunnel })
      if (allowed.size <= ALLOWED_MAX) allowed.add(hostname)
    }
  }
}

/** @throws for every decision but nothing, so that a policy with a mistake in it opens no tunnels */
async function assertAllowed (onConnect: OnConnect, context: ConnectContext): Promise<void> {
  let decision: unknown
  try {
    decision = await onConnect(context)
  } catch (err) {
    throw thrownBy('onConnect', err)
  }
  if (decision === undefined || decision === null) return
  if (!Number.isInteger(decision) || Number(decision) < 400 || Number(decision) > 599) {
    throw new FST_PROX_BAD_DECISION(show(decision))
  }
  throw Object.assign(new FST_PROX_CONNECT_REFUSED(context.authority), { statusCode: decision })
}
