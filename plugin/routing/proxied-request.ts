/** What is known of a proxied request, which stays with the raw request from its arrival to its answer. */
import type { ProxyCredentials, RawRequest, ResolverContext } from '../../types/options'
import type { ProxyRequest } from '../../types/request'
import type { Origin } from '../http/target'
import type { PrivateSection } from './private-routes'

/** The property of a raw request that leads to it. */
const kProxied = Symbol('fastify-prox.proxied')

type MarkedRequest = RawRequest & { originalUrl?: string, [kProxied]?: ProxiedRequest }

/** How a request came, as absolute-form or through a tunnel, and who answers it. */
export class ProxiedRequest {
  readonly context: ResolverContext
  readonly origin: Origin
  /** The whole URL. */
  readonly fullUrl: string
  /** The section of the proxy host that matched; `undefined`: none did, the resolver is asked. */
  readonly section: PrivateSection | undefined
  /** The proxy host that answers. */
  readonly proxyHost: string
  /** The `Proxy-Authorization` field as it came, in absolute-form: hooks may see it, routes may not. */
  readonly authorization: string | undefined
  #shown: ProxyRequest | null = null

  constructor (
    context: ResolverContext, origin: Origin, path: string, section: PrivateSection | undefined, proxyHost: string,
    authorization: string | undefined
  ) {
    this.context = context
    this.origin = origin
    this.fullUrl = origin.url + path
    this.section = section
    this.proxyHost = proxyHost
    this.authorization = authorization
  }

  /** What `request.proxy` holds; made when somebody asks for it, since most requests are answered without. */
  get shown (): ProxyRequest {
    this.#shown ??= Object.freeze({
      url: this.fullUrl,
      proxyHost: this.proxyHost,
      scheme: this.origin.scheme,
      host: this.origin.authority,
      hostname: this.origin.hostname,
      port: this.origin.port,
      username: this.context.credentials?.username ?? null,
      tunnel: this.context.tunnel
    })
    return this.#shown
  }
}

/** Has a raw request be a proxied one, and tell its target as it came as `originalUrl`. */
export function mark (raw: RawRequest, proxied: ProxiedRequest): void {
  const marked: MarkedRequest = raw
  marked.originalUrl = raw.url!
  marked[kProxied] = proxied
}

/** What is known of a raw request; `undefined`: it is not a proxied one. */
export function proxiedRequestOf (raw: RawRequest): ProxiedRequest | undefined {
  return (raw as MarkedRequest)[kProxied]
}

/** What `request.proxy` holds for a raw request. */
export function proxyOf (raw: RawRequest): ProxyRequest | null {
  return proxiedRequestOf(raw)?.shown ?? null
}

/** The credentials that came with a request or its tunnel, valid ones where the resolver asks for them. */
export function credentialsOf (raw: RawRequest): ProxyCredentials | null {
  return proxiedRequestOf(raw)?.context.credentials ?? null
}

/** The target of a request as it came. */
export function originalUrlOf (raw: RawRequest): string {
  return (raw as MarkedRequest).originalUrl ?? raw.url!
}
