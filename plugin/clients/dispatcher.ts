/** Dispatchers of undici that send requests through the proxy. */
import { rootCertificates } from 'node:tls'
import type * as undici from 'undici'
import type { ProxyAccess, ProxyDispatcher } from '../../types/clients'
import { FST_PROX_NO_UNDICI } from '../errors'
import type { Address } from './address'

type Undici = typeof undici
type Dispatch = (options: undici.Dispatcher.DispatchOptions, handler: undici.Dispatcher.DispatchHandler) => boolean

/** What undici 8 has beside undici 7. */
interface NewerUndici {
  /** Adapts the handlers that `fetch` of undici 7 and before brings along, such as that of Node up to 25. */
  readonly Dispatcher1Wrapper?: new (dispatcher: { dispatch: Dispatch }) => { dispatch: Dispatch }
}

/**
 * @param caller the method that a message names
 * @throws FST_PROX_NO_UNDICI when undici, an optional peer dependency, is missing or does not load
 */
export function loadUndici (caller: string): Undici & NewerUndici {
  try {
    // Late, since only who asks for a dispatcher needs it.
    return require('undici')
  } catch (cause) {
    throw new FST_PROX_NO_UNDICI(caller, { cause })
  }
}

/** @param trustedPem certificates of the CA, one of which every certificate behind the proxy is signed with */
export function makeDispatcher (
  { ProxyAgent, Dispatcher1Wrapper }: Undici & NewerUndici, { scheme, authority }: Address,
  { username, password = '' }: ProxyAccess, trustedPem: string
): ProxyDispatcher {
  const agent = new ProxyAgent({
    uri: `${scheme}://${authority}`,
    requestTls: { ca: trustedPem },
    proxyTls: { ca: [...rootCertificates, trustedPem] },
    ...(username !== undefined && { token: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` })
  })
  if (Dispatcher1Wrapper !== undefined) {
    const newer = { dispatch: agent.dispatch.bind(agent) as Dispatch }
    const older = new Dispatcher1Wrapper(newer)
    const dispatch: Dispatch = (options, handler) => {
      return ('onRequestStart' in handler ? newer : older).dispatch(options, handler)
    }
    Object.assign(agent, { dispatch })
  }
  return agent as ProxyDispatcher
}
