/** Intercepts proxied requests of a server before Fastify's router reads their target. */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { takeOver } from '../compat/listeners'
import { stripProxyAuthorization } from '../http/headers'
import { proxiedUrl } from '../http/target'
import { proxiedRequestOf } from '../routing/proxied-request'
import type { ProxiedRequest } from '../routing/proxied-request'
import { hasFailed } from '../routing/proxy-router'
import type { ProxyRouter } from '../routing/proxy-router'
import type { RawRequest } from '../../types/options'
import { limitRefusal } from './connect-route'

/** Has Fastify route a raw request, unless its client has left. */
export type Dispatch = (raw: RawRequest, response: object) => void

/** Dispatches a request when it has been routed: in the same tick if that took no time. */
export function dispatchRouted (
  routing: void | Promise<void>, dispatch: Dispatch, raw: RawRequest, response: object
): void {
  if (routing === undefined) dispatch(raw, response)
  else routing.then(() => dispatch(raw, response))
}

/**
 * Routes the proxied requests of a server, and leaves the others to the listeners that it has.
 * @returns whether it has any
 */
export function interceptRequests (server: EventEmitter, router: ProxyRouter, dispatch: Dispatch): boolean {
  return takeOver<[IncomingMessage, ServerResponse]>(server, 'request', (inherited) => (raw, response) => {
    const url = proxiedUrl(raw)
    if (url === null) return inherited(raw, response)
    dispatchRouted(router.routeAbsolute(raw, url), dispatch, raw, response)
  })
}

/**
 * The hook for what has reached Fastify's router: shows proxied requests as they are, and routes absolute-form requests
 * that no listener has seen, from a `serverFactory` or a call of `fastify.routing`. Hooks before this one run twice for
 * these.
 */
export function interceptRouted (fastify: FastifyInstance, router: ProxyRouter): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    const proxied = proxiedRequestOf(raw)
    if (proxied !== undefined) {
      showOrigin(request, proxied)
      if (proxied.authorization !== undefined) restoreCredentials(raw, proxied.authorization)
      return done()
    }
    // Before the hooks that follow, which may take their time, and after the application's earlier ones.
    if (raw.method === 'CONNECT') return done(limitRefusal(raw, reply))
    const url = proxiedUrl(raw)
    if (url === null || hasFailed(raw)) return done()
    reply.hijack()
    const dispatch: Dispatch = (raw, response) => fastify.routing(raw as IncomingMessage, response as ServerResponse)
    dispatchRouted(router.routeAbsolute(raw, url), dispatch, raw, reply.raw)
  })

  // After the onRequest hooks, some of which check credentials for the proxy, and before everything else.
  fastify.addHook('preParsing', (request, _reply, _payload, done) => {
    if (request.raw.headers['proxy-authorization'] !== undefined && proxiedRequestOf(request.raw) !== undefined) {
      stripProxyAuthorization(request.raw)
    }
    done()
  })
}

/**
 * Has `request.protocol` tell how the client asked, where the connection says otherwise: `https:` in absolute-form,
 * say. In a tunnel nobody but the client can have written what `trustProxy` reads, so it counts for nothing there.
 */
function showOrigin (request: FastifyRequest, { origin, context: { tunnel } }: ProxiedRequest): void {
  const { scheme, authority: host, hostname, port } = origin
  const { encrypted = false }: { encrypted?: boolean } = request.raw.socket as Partial<TLSSocket>
  if (tunnel !== null && request.ips !== undefined) {
    const { remoteAddress } = tunnel
    const values = { protocol: scheme, host, hostname, port, ip: remoteAddress, ips: [remoteAddress] }
    for (const [name, value] of Object.entries(values)) define(request, name, value)
  } else if ((scheme === 'https') !== encrypted) {
    define(request, 'protocol', scheme)
  }
}

function define (request: FastifyRequest, name: string, value: unknown): void {
  Object.defineProperty(request, name, { value, configurable: true })
}

/** Shows the credentials for the proxy to hooks such as those of @fastify/basic-auth. */
function restoreCredentials (raw: RawRequest, authorization: string): void {
  raw.headers['proxy-authorization'] = authorization
  raw.rawHeaders.push('Proxy-Authorization', authorization)
}
