/**
 * Routes proxied requests: from here on a request's full URL is known, `request.proxy` is set, its fields are those
 * that a route may see, and `req.url` is the URL of a route. Only `private-routes` writes `req.url`.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import type { ProxyTunnel } from '../../types/request'
import { FST_PROX_BAD_RESOLUTION, FST_PROX_BAD_TARGET, kindOf, thrownBy } from '../errors'
import { askForCredentials, ChallengeError, readCredentials } from '../http/credentials'
import { redactHost, setHost, stripHopByHop, stripProxyAuthorization } from '../http/headers'
import type { Origin } from '../http/target'
import { parseAbsoluteTarget, redactTarget, redactUserinfo } from '../http/target'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import { mark, originalUrlOf, ProxiedRequest } from './proxied-request'
import type { ProxyHosts } from './proxy-hosts'

const KEEP_UPGRADE = { keepUpgrade: true }

/** The errors of requests that the error handler is to answer. */
const failures = new WeakMap<RawRequest, unknown>()

/** Whether a request is to be answered by the error handler. */
export function hasFailed (raw: RawRequest): boolean {
  return failures.has(raw)
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

    const { origin, path } = target
    const authorization = raw.headers['proxy-authorization']
    const context = { raw, remoteAddress: raw.socket.remoteAddress, credentials: readings[0] ?? null, tunnel: null }
    if (resolver.requireAuth === undefined) return this.#route(context, origin, path, upgrade, authorization)
    return askForCredentials(resolver, context, readings).then(
      (credentials) => this.#route({ ...context, credentials }, origin, path, upgrade, authorization),
      (err) => {
        this.#begin({ ...context, credentials: null }, origin, path, upgrade, authorization)
        this.routeToErrorHandler(raw, err)
      }
    )
  }

  /** Routes a request that came through a tunnel, for `path` of `origin`. */
  routeTunnelled (
    raw: RawRequest, origin: Origin, path: string, tunnel: ProxyTunnel, credentials: ProxyCredentials | null,
    upgrade = false
  ): void | Promise<void> {
    return this.#route({ raw, remoteAddress: tunnel.remoteAddress, credentials, tunnel }, origin, path, upgrade)
  }

  /** Lets the application's error handler answer a request. */
  routeToErrorHandler (raw: RawRequest, err: unknown): void {
    const originalUrl = originalUrlOf(raw)
    stripHopByHop(raw)
    redactHost(raw)
    failures.set(raw, thrownBy('The resolver', err))
    this.#options.routes.routeTo(this.#failureSection, raw, redactUserinfo(originalUrl))
  }

  #route (
    context: ResolverContext, origin: Origin, path: string, upgrade: boolean, authorization?: string
  ): void | Promise<void> {
    const { raw } = context
    const { routes, resolver } = this.#options
    const { section, fullUrl } = this.#begin(context, origin, path, upgrade, authorization)
    if (section !== undefined) return routes.tryRoute(section, raw, path)
    try {
      const resolved = resolver(fullUrl, context)
      if (typeof resolved === 'string') return this.#rewrite(raw, resolved)
      return Promise.resolve(resolved).then(
        (url) => this.#rewrite(raw, url),
        (err) => this.routeToErrorHandler(raw, err)
      )
    } catch (err) {
      this.routeToErrorHandler(raw, err)
    }
  }

  /**
   * Sets what hooks and routes see of a request.
   * @param upgrade whether it is the handshake of a WebSocket
   */
  #begin (
    context: ResolverContext, origin: Origin, path: string, upgrade: boolean, authorization: string | undefined
  ): ProxiedRequest {
    const { raw } = context
    const { hosts, defaultHost } = this.#options
    const section = hosts.match(origin.hostname)
    stripHopByHop(raw, upgrade ? KEEP_UPGRADE : undefined)
    setHost(raw, origin.authority)
    const proxied = new ProxiedRequest(context, origin, path, section, section?.name ?? defaultHost, authorization)
    mark(raw, proxied)
    return proxied
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
