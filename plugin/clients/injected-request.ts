/** Routes requests that came by no socket: `injectProxy` and `injectProxyWS` make them. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { ProxyCredentials, ResolverContext } from '../../types/options'
import { askForCredentials, readCredentials } from '../http/credentials'
import { isAddress } from '../http/host'
import { originOf, parseAuthority } from '../http/target'
import { FST_PROX_BAD_AUTHORITY, FST_PROX_INVALID_OPTION, show } from '../errors'
import type { ProxyRouter } from '../routing/proxy-router'

/**
 * Makes a request a proxied request: when the promise is fulfilled, `raw.url` is the URL of a route, or of the route
 * that answers with an error.
 * @param url what is asked for; its scheme is http or https, for WebSockets too
 */
export type RouteInjected = (raw: IncomingMessage, url: URL, upgrade?: boolean) => Promise<void>

/**
 * Routes requests for `http:` as in absolute-form, those for `https:` as if they were the first in a tunnel of TLS.
 * There is no CONNECT before the latter, hence no hooks and no `onConnect` for it; but the resolver may ask for
 * credentials, as it would then.
 */
export function injectedRouter (fastify: FastifyInstance, router: ProxyRouter): RouteInjected {
  let tunnels = 0

  return async (raw, url, upgrade = false) => {
    if (url.protocol === 'http:') {
      raw.url = url.origin + raw.url
      return await router.routeAbsolute(raw, raw.url, upgrade)
    }
    const authority = `${url.hostname}:${url.port || 443}`
    const target = parseAuthority(authority)
    if (target === null) return router.routeToErrorHandler(raw, new FST_PROX_BAD_AUTHORITY(authority))
    const { hostname, port } = target
    const { remoteAddress } = raw.socket
    const readings = readCredentials(raw)
    const context: ResolverContext = { raw, remoteAddress, credentials: readings[0] ?? null, tunnel: null }
    let credentials: ProxyCredentials | null
    try {
      credentials = await askForCredentials(fastify.proxyResolver, context, readings)
    } catch (err) {
      return router.routeToErrorHandler(raw, err)
    }
    // As the socket of a tunnel has it, which plugins may look at.
    Object.assign(raw.socket, { encrypted: true })
    const tunnel = Object.freeze({
      id: `inject-${++tunnels}`,
      authority: `${hostname}:${port}`,
      servername: isAddress(hostname) ? null : hostname,
      alpn: 'http/1.1',
      tlsVersion: 'TLSv1.3',
      remoteAddress
    })
    await router.routeTunnelled(raw, originOf('https', hostname, port), raw.url!, tunnel, credentials, upgrade)
  }
}

/**
 * Reads the URL of a request that is to be injected.
 * @param schemes that it may have, with their colons
 * @throws FST_PROX_INVALID_OPTION
 */
export function readUrl (value: unknown, schemes: readonly string[]): URL {
  const url = URL.canParse(String(value)) ? new URL(String(value)) : null
  if (url === null || !schemes.includes(url.protocol) || url.username !== '' || url.password !== '') {
    const takes = `an absolute URL with ${schemes.join(' or ')} and without credentials`
    throw new FST_PROX_INVALID_OPTION('url', takes, show(value instanceof URL ? value.href : value))
  }
  return url
}
