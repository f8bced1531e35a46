/**
 * The one door where a request becomes a proxied request: its full URL is known, `request.proxy` is set, `req.url` is
 * the URL of a route. Nothing but this room, and `private-routes` on its behalf, writes `req.url`.
 */
import type { Http2ServerRequest } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import type { ProxyRequest, ProxyTunnel } from '../../types/request'
import { askForCredentials, ChallengeError, proxyCredentials } from '../http/credentials'
import { FST_PROX_BAD_RESOLUTION, FST_PROX_BAD_TARGET, FST_PROX_NO_RESOLUTION, show } from '../errors'
import { setHost, stripHopByHop } from '../http/headers'
import type { ProxyHosts } from './proxy-hosts'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import type { Scheme } from '../http/target'
import { formatAuthority, parseAbsoluteTarget } from '../http/target'

const kProxy = Symbol('fastify-prox.proxy')
const kFailure = Symbol('fastify-prox.failure')

type ProxiedRequest = RawRequest & {
  originalUrl?: string
  [kProxy]?: ProxyRequest
  [kFailure]?: unknown
}

/** The part of a URL that all requests of a tunnel share. */
export interface Origin {
  readonly scheme: Scheme
  readonly hostname: string
  readonly port: number
  /** What the Host field says: `host`, or `host:port` when the port is not the default. */
  readonly authority: string
  /** `scheme://authority` */
  readonly url: string
}

/** The scheme of a WebSocket that is asked for by a URL of this scheme. */
const WEBSOCKET_SCHEME: Record<Scheme, 'ws' | 'wss'> = { http: 'ws', https: 'wss', ws: 'ws', wss: 'wss' }

export function originOf (scheme: Scheme, hostname: string, port: number): Origin {
  const authority = formatAuthority(scheme, hostname, port)
  return { scheme, hostname, port, authority, url: `${scheme}://${authority}` }
}

/** What `request.proxy` holds for a raw request. */
export function proxyOf (raw: RawRequest): ProxyRequest | null {
  return (raw as ProxiedRequest)[kProxy] ?? null
}

/** Whether a request is to be answered by the error handler. */
export function hasFailed (raw: RawRequest): boolean {
  return kFailure in raw
}

/** Whether a request target is in absolute-form, as far as its first byte tells: neither `/path` nor `*`. */
export function isAbsoluteForm (target: string): boolean {
  const first = target.charCodeAt(0)
  return first !== 0x2f && first !== 0x2a
}

/**
 * The URL that a client asks a proxy for: the request target, when it is in absolute-form (RFC 9112 3.2.2), or over
 * HTTP/2 what the pseudo-header fields say (RFC 9113 8.3.1), when a client asks over TLS for an `http:` URL. `null`: the
 * request is for this server itself.
 */
export function proxiedUrl (raw: RawRequest): string | null {
  const url = raw.url!
  if (isAbsoluteForm(url)) return url
  if (raw.httpVersionMajor < 2) return null
  const { scheme, authority, socket } = raw as Http2ServerRequest
  return scheme === 'http' && (socket as TLSSocket).encrypted ? `http://${authority}${url === '*' ? '' : url}` : null
}

export class Ingress {
  readonly #hosts: ProxyHosts
  readonly #routes: PrivateRoutes
  readonly #failures: PrivateSection
  readonly #resolver: ProxyResolver
  readonly #defaultHost: string

  constructor (fastify: FastifyInstance, routes: PrivateRoutes, hosts: ProxyHosts, resolver: ProxyResolver, defaultHost: string) {
    this.#hosts = hosts
    this.#routes = routes
    this.#resolver = resolver
    this.#defaultHost = defaultHost
    this.#failures = routes.addSection('failure of ingress')
    this.#addFailureRoute(fastify)
  }

  /**
   * Takes in a request that is for a proxy by its own words; `url` is what it asks for. The caller routes it when this
   * returns, or when the promise that it returned is fulfilled; it never rejects: what goes wrong is answered by the
   * application's error handler.
   */
  absolute (raw: RawRequest, url: string, upgrade = false): void | Promise<void> {
    const credentials = proxyCredentials(raw)
    const target = parseAbsoluteTarget(url)
    if (target === null) return this.fail(raw, new FST_PROX_BAD_TARGET(url))

    const { hostname, port, path } = target
    const origin = originOf(upgrade ? WEBSOCKET_SCHEME[target.scheme] : target.scheme, hostname, port)
    const context: ResolverContext = { raw, remoteAddress: raw.socket.remoteAddress, credentials, tunnel: null }
    const section = this.#begin(raw, origin, path, context)
    if (this.#resolver.requireAuth === undefined) return this.#resolve(raw, section, origin, path, context)
    return askForCredentials(this.#resolver, context).then(
      () => this.#resolve(raw, section, origin, path, context),
      (err) => this.fail(raw, err)
    )
  }

  /** Takes in a request that came through a tunnel, for `path` of `origin`; the rest is as with `absolute`. */
  tunnelled (raw: RawRequest, origin: Origin, path: string, tunnel: ProxyTunnel, credentials: ProxyCredentials | null): void | Promise<void> {
    const context: ResolverContext = { raw, remoteAddress: tunnel.remoteAddress, credentials, tunnel }
    const section = this.#begin(raw, origin, path, context)
    return this.#resolve(raw, section, origin, path, context)
  }

  /** Lets the application's error handler answer a request. */
  fail (raw: RawRequest, err: unknown): void {
    const proxied: ProxiedRequest = raw
    stripHopByHop(raw)
    proxied[kFailure] = err || new FST_PROX_NO_RESOLUTION()
    this.#routes.routeTo(this.#failures, raw, '/', proxied.originalUrl ?? raw.url!, 'GET')
  }

  #begin (raw: RawRequest, origin: Origin, path: string, { credentials, tunnel }: ResolverContext): PrivateSection | undefined {
    const proxied: ProxiedRequest = raw
    const { scheme, hostname, port } = origin
    const section = this.#hosts.match(hostname)
    stripHopByHop(raw, scheme === 'ws' || scheme === 'wss')
    setHost(raw, origin.authority)
    proxied.originalUrl = raw.url!
    proxied[kProxy] = Object.freeze({
      url: origin.url + path,
      host: section?.name ?? this.#defaultHost,
      scheme,
      hostname,
      port,
      username: credentials?.username ?? null,
      tunnel
    })
    return section
  }

  #resolve (raw: RawRequest, section: PrivateSection | undefined, origin: Origin, path: string, context: ResolverContext): void | Promise<void> {
    if (section !== undefined) return this.#routes.tryRoute(section, raw, path)
    try {
      const resolved = this.#resolver(origin.url + path, context)
      if (typeof resolved === 'string') return this.#rewrite(raw, resolved)
      return Promise.resolve(resolved).then(
        (url) => this.#rewrite(raw, url),
        (err) => this.fail(raw, err)
      )
    } catch (err) {
      this.fail(raw, err)
    }
  }

  #rewrite (raw: RawRequest, resolved: unknown): void {
    if (typeof resolved !== 'string' || resolved[0] !== '/') {
      return this.fail(raw, new FST_PROX_BAD_RESOLUTION(show(resolved)))
    }
    raw.url = resolved
  }

  #addFailureRoute (fastify: FastifyInstance): void {
    // As a hook, so that the body of a request that has failed already is neither read nor judged. One route is for
    // every method: those that the application does not support must not end among its routes either.
    const fail = async ({ raw }: FastifyRequest, reply: FastifyReply): Promise<never> => {
      const { [kFailure]: failure } = raw as ProxiedRequest
      if (failure instanceof ChallengeError) reply.header('proxy-authenticate', failure.challenge)
      throw failure
    }
    fastify.register(async (child) => {
      child.addHook('onRoute', (route) => this.#routes.assign(this.#failures, route))
      child.route({
        method: 'GET',
        url: '/',
        onRequest: fail,
        handler: fail,
        // The application may set its own when this route is there already.
        errorHandler: (err, request, reply) => fastify.errorHandler(err, request, reply),
        exposeHeadRoute: false,
        schema: { hide: true } as object
      })
    })
  }
}
