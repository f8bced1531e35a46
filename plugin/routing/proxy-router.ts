/**
 * Routes proxied requests: from here on a request's full URL is known, `request.proxy` is set, its fields are those
 * that a route may see, and `req.url` is the URL of a route. Only `private-routes` writes `req.url`.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import type { ProxyRequest, ProxyTunnel } from '../../types/request'
import { FST_PROX_BAD_RESOLUTION, FST_PROX_BAD_TARGET, kindOf, thrownBy } from '../errors'
import { askForCredentials, ChallengeError, readCredentials } from '../http/credentials'
import { redactHost, setHost, stripHopByHop, stripProxyAuthorization } from '../http/headers'
import type { Origin } from '../http/target'
import { originOf, parseAbsoluteTarget, redactTarget, redactUserinfo } from '../http/target'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import type { ProxyHosts } from './proxy-hosts'

/** The one property that raw requests get: what `request.proxy` holds. */
const kProxy = Symbol('fastify-prox.proxy')

type ProxiedRequest = RawRequest & { originalUrl?: string, [kProxy]?: ProxyRequest }

/** The errors of requests that the error handler is to answer. */
const failures = new WeakMap<RawRequest, unknown>()

/** Values of `Proxy-Authorization`, which hooks may see and routes may not. */
const withheldCredentials = new WeakMap<RawRequest, string>()

/** Credentials of requests and tunnels, valid ones where the resolver asks for them. */
const acceptedCredentials = new WeakMap<RawRequest, ProxyCredentials>()

/** The credentials that came with a request or its tunnel, valid ones where the resolver asks for them. */
export function credentialsOf (raw: RawRequest): ProxyCredentials | null {
  return acceptedCredentials.get(raw) ?? null
}

/** What `request.proxy` holds for a raw request. */
export function proxyOf (raw: RawRequest): ProxyRequest | null {
  return (raw as ProxiedRequest)[kProxy] ?? null
}

/** Whether a request is to be answered by the error handler. */
export function hasFailed (raw: RawRequest): boolean {
  return failures.has(raw)
}

/** The `Proxy-Authorization` field of a proxied request, as the client sent it. */
export function withheldCredentialsOf (raw: RawRequest): string | undefined {
  return withheldCredentials.get(raw)
}

/** How a request came: as absolute-form, or through a tunnel. */
interface Arrival {
  readonly raw: RawRequest
  readonly origin: Origin
  readonly path: string
  readonly context: ResolverContext
  /** Whether the request is the handshake of a WebSocket. */
  readonly upgrade: boolean
}

export interface ProxyRouterOptions {
  readonly routes: PrivateRoutes
  readonly hosts: ProxyHosts
  readonly resolver: ProxyResolver
  /** The proxy host that answers what no other one does. */
  readonly defaultHost: string
}

/**
 * Its methods prepare a raw request for Fastify's router. The caller dispatches it when they return, or when the
 * promise that they returned is fulfilled, which is never rejected: what fails is answered by the application's error
 * handler.
 */
export class ProxyRouter {
  readonly #options: ProxyRouterOptions
  readonly #failureSection: PrivateSection

  constructor (options: ProxyRouterOptions) {
    this.#options = options
    this.#failureSection = addFailureRoute(options.routes)
  }

  /** Routes a request whose target is the absolute-form `url` (RFC 9112 3.2.2). */
  routeAbsolute (raw: RawRequest, url: string, upgrade = false): void | Promise<void> {
    const { resolver } = this.#options
    const readings = readCredentials(raw)
    const target = parseAbsoluteTarget(url)
    if (target === null) return this.routeToErrorHandler(raw, new FST_PROX_BAD_TARGET(redactTarget(url)))

    const field = raw.headers['proxy-authorization']
    if (field !== undefined) withheldCredentials.set(raw, field)
    const { scheme, hostname, port, path } = target
    const context = { raw, remoteAddress: raw.socket.remoteAddress, credentials: readings[0] ?? null, tunnel: null }
    const arrival = { raw, origin: originOf(scheme, hostname, port), path, context, upgrade }
    if (resolver.requireAuth === undefined) return this.#route(arrival)
    return askForCredentials(resolver, context, readings).then(
      (credentials) => this.#route({ ...arrival, context: { ...context, credentials } }),
      (err) => {
        this.#begin({ ...arrival, context: { ...context, credentials: null } })
        this.routeToErrorHandler(raw, err)
      }
    )
  }

  /** Routes a request that came through a tunnel, for `path` of `origin`. */
  routeTunnelled (
    raw: RawRequest, origin: Origin, path: string, tunnel: ProxyTunnel, credentials: ProxyCredentials | null,
    upgrade = false
  ): void | Promise<void> {
    const context = { raw, remoteAddress: tunnel.remoteAddress, credentials, tunnel }
    return this.#route({ raw, origin, path, context, upgrade })
  }

  /** Lets the application's error handler answer a request. */
  routeToErrorHandler (raw: RawRequest, err: unknown): void {
    const { originalUrl = raw.url! } = raw as ProxiedRequest
    stripHopByHop(raw)
    redactHost(raw)
    failures.set(raw, thrownBy('The resolver', err))
    this.#options.routes.routeTo(this.#failureSection, raw, redactUserinfo(originalUrl))
  }

  #route (arrival: Arrival): void | Promise<void> {
    const { raw, origin, path, context } = arrival
    const { routes, resolver } = this.#options
    const section = this.#begin(arrival)
    if (context.credentials !== null) acceptedCredentials.set(raw, context.credentials)
    if (section !== undefined) return routes.tryRoute(section, raw, path)
    try {
      const resolved = resolver(origin.url + path, context)
      if (typeof resolved === 'string') return this.#rewrite(raw, resolved)
      return Promise.resolve(resolved).then(
        (url) => this.#rewrite(raw, url),
        (err) => this.routeToErrorHandler(raw, err)
      )
    } catch (err) {
      this.routeToErrorHandler(raw, err)
    }
  }

  /** Sets what hooks and routes see of the request, and returns the section of the proxy host that answers. */
  #begin ({ raw, origin, path, context, upgrade }: Arrival): PrivateSection | undefined {
    const { hosts, defaultHost } = this.#options
    const { scheme, hostname, port, authority } = origin
    const section = hosts.match(hostname)
    stripHopByHop(raw, { keepUpgrade: upgrade })
    setHost(raw, authority)
    const proxied: ProxiedRequest = raw
    proxied.originalUrl = raw.url!
    proxied[kProxy] = Object.freeze({
      url: origin.url + path,
      proxyHost: section?.name ?? defaultHost,
      scheme,
      host: authority,
      hostname,
      port,
      username: context.credentials?.username ?? null,
      tunnel: context.tunnel
    })
    return section
  }

  #rewrite (raw: RawRequest, resolved: unknown): void {
    if (typeof resolved !== 'string' || resolved[0] !== '/') {
      return this.routeToErrorHandler(raw, new FST_PROX_BAD_RESOLUTION(kindOf(resolved)))
    }
    this.#options.routes.routeToApplication(raw, resolved)
  }
}

/**
 * Adds the route that hands errors to the error handler: before the body is read, which is not asked for any more, and
 * after all `onRequest` hooks, so that those of a rate limit count the request.
 */
function addFailureRoute (routes: PrivateRoutes): PrivateSection {
  const fail = async ({ raw }: FastifyRequest, reply: FastifyReply): Promise<never> => {
    stripProxyAuthorization(raw)
    const failure = failures.get(raw)
    if (failure instanceof ChallengeError) reply.header('proxy-authenticate', failure.challenge)
    throw failure
  }
  return routes.addRoute('failure', { preParsing: fail, handler: fail })
}
