/** Proxied requests without sockets and certificates: what `fastify.inject` is for requests that are not proxied. */
import type { IncomingMessage, RequestListener } from 'node:http'
import type { FastifyInstance, LightMyRequestCallback, LightMyRequestResponse } from 'fastify'
import type * as lightMyRequest from 'light-my-request'
import type { ProxyCredentials, ResolverContext } from '../../types/options'
import type { InjectProxy, InjectProxyOptions } from '../../types/clients'
import { askForCredentials, readCredentials } from '../http/credentials'
import { FST_PROX_BAD_AUTHORITY, FST_PROX_INVALID_OPTION } from '../errors'
import { isAddress } from '../http/host'
import { originOf, parseAuthority } from '../http/target'
import type { ProxyRouter } from '../routing/proxy-router'

/**
 * Sends requests straight to ingress: those for `http:` in absolute-form, those for `https:` as if they were the first
 * in a tunnel of TLS. There is no CONNECT before the latter, hence no hooks and no `onConnect` for it; but the resolver
 * may ask for credentials, as it would then.
 */
export function injector (fastify: FastifyInstance, router: ProxyRouter): InjectProxy {
  let tunnels = 0

  const enter = async (raw: IncomingMessage, url: URL): Promise<void> => {
    if (url.protocol === 'http:') {
      raw.url = url.origin + raw.url
      return await router.routeAbsolute(raw, raw.url)
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
    await router.routeTunnelled(raw, originOf('https', hostname, port), raw.url!, tunnel, credentials)
  }

  function injectProxy (options: InjectProxyOptions | string | URL): Promise<LightMyRequestResponse>
  function injectProxy (options: InjectProxyOptions | string | URL, callback: LightMyRequestCallback): void
  function injectProxy (
    options: InjectProxyOptions | string | URL, callback?: LightMyRequestCallback
  ): Promise<LightMyRequestResponse> | void {
    // Loaded late, as Fastify does it: servers that are not under test have no need of it.
    const { inject } = require('light-my-request') as typeof lightMyRequest
    const settings = typeof options === 'string' || options instanceof URL ? { url: options } : options
    const url = readUrl(settings.url)
    const request = { ...settings, url: url.href, authority: url.host }
    const dispatch: RequestListener = (raw, response) => {
      fastify.ready()
        .then(() => enter(raw, url))
        .then(() => fastify.routing(raw, response), (err) => { response.destroy(err) })
    }
    return callback === undefined ? inject(dispatch, request) : inject(dispatch, request, callback)
  }
  return injectProxy
}

/** @throws FST_PROX_INVALID_OPTION */
function readUrl (value: unknown): URL {
  const text = String(value)
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.username !== '' || url.password !== '') {
    const takes = 'an absolute URL with http: or https: and without credentials'
    throw new FST_PROX_INVALID_OPTION('url', takes, `'${text}'`)
  }
  return url
}
