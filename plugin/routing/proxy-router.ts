/**
 * The one door where a request becomes a proxied request: its full URL is known, `request.proxy` is set, `req.url` is
 * the URL of a route. Nothing but this room, and `private-routes` on its behalf, writes `req.url`.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import type { ProxyRequest, ProxyTunnel } from '../../types/request'
import { askForCredentials, ChallengeError, readCredentials } from '../http/credentials'
import { FST_PROX_BAD_RESOLUTION, FST_PROX_BAD_TARGET, FST_PROX_NO_RESOLUTION, kindOf } from '../errors'
import { redactHost, setHost, stripHopByHop } from '../http/headers'
import type { ProxyHosts } from './proxy-hosts'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import type { Origin } from '../http/target'
import { originOf, parseAbsoluteTarget, redactTarget, redactUserinfo } from '../http/target'

const kProxy = Symbol('fastify-prox.proxy')
const kFailure = Symbol('fastify-prox.failure')

type ProxiedRequest = RawRequest & {
  originalUrl?: string
  [kProxy]?: ProxyRequest
  [kFailure]?: unknown
}

/** What `request.proxy` holds for a raw request. */
export function proxyOf (raw: RawRequest): ProxyRequest | null {
  return (raw as ProxiedRequest)[kProxy] ?? null
}

/** Whether a request is to be answered by the error handler. */
export function hasFailed (raw: RawRequest): boolean {
  return kFailure in raw
}

/** Has `request.proxy` show the user of the credentials that the resolver has accepted. */
function setUsername (raw: RawRequest, credentials: ProxyCredentials | null): void {
  const proxied: ProxiedRequest = raw
  proxied[kProxy] = Object.freeze({ ...proxied[kProxy]!, username: credentials!.username })
}

export class Ingress {
  readonly #hosts: ProxyHosts
  readonly #routes: PrivateRoutes
  readonly #failures: PrivateSection
  readonly #resolver: ProxyResolver
  readonly #defaultHost: string

  constructor (
    fastify: FastifyInstance, routes: PrivateRoutes, hosts: ProxyHosts, resolver: ProxyResolver, defaultHost: string
  ) {
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
    const readings = readCredentials(raw)
    const target = parseAbsoluteTarget(url)
    if (target === null) return this.fail(raw, new FST_PROX_BAD_TARGET(redactTarget(url)))

    const { scheme, hostname, port, path } = target
    const origin = originOf(scheme, hostname, port)
    const credentials = readings[0] ?? null
    const context: ResolverContext = { raw, remoteAddress: raw.socket.remoteAddress, credentials, tunnel: null }
    const section = this.#begin(raw, origin, path, context, upgrade)
    if (this.#resolver.requireAuth === undefined) return this.#resolve(raw, section, origin, path, context)
    return askForCredentials(this.#resolver, context, readings).then(
      (accepted) => {
        if (accepted === credentials) return this.#resolve(raw, section, origin, path, context)
        setUsername(raw, accepted)
        return this.#resolve(raw, section, origin, path, { ...context, credentials: accepted })
      },
      (err) => this.fail(raw, err)
    )
  }

  /** Takes in a request that came through a tunnel, for `path` of `origin`; the rest is as with `absolute`. */
  tunnelled (
    raw: RawRequest, origin: Origin, path: string, tunnel: ProxyTunnel, credentials: ProxyCredentials | null,
    upgrade = false
  ): void | Promise<void> {
    const context: ResolverContext = { raw, remoteAddress: tunnel.remoteAddress, credentials, tunnel }
    const section = this.#begin(raw, origin, path, context, upgrade)
    return this.#resolve(raw, section, origin, path, context)
  }

  /** Lets the application's error handler answer a request. */
  fail (raw: RawRequest, err: unknown): void {
    const proxied: ProxiedRequest = raw
    stripHopByHop(raw)
    redactHost(raw)
    proxied[kFailure] = err || new FST_PROX_NO_RESOLUTION()
    this.#routes.routeTo(this.#failures, raw, '/', redactUserinfo(proxied.originalUrl ?? raw.url!), 'GET')
  }

  /** @param upgrade whether the request is the handshake of a WebSocket */
  #begin (
    raw: RawRequest, origin: Origin, path: string, context: ResolverContext, upgrade: boolean
  ): PrivateSection | undefined {
    const { credentials, tunnel } = context
    const proxied: ProxiedRequest = raw
    const { scheme, hostname, port } = origin
    const section = this.#hosts.match(hostname)
    stripHopByHop(raw, { keepUpgrade: upgrade })
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

  #resolve (
    raw: RawRequest, section: PrivateSection | undefined, origin: Origin, path: string, context: ResolverContext
  ): void | Promise<void> {
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
      return this.fail(raw, new FST_PROX_BAD_RESOLUTION(kindOf(resolved)))
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
