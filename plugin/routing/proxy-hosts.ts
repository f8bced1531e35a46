/** Proxy hosts: names that the application answers itself, each with a section of private routes of its own. */
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from 'fastify'
import type { ProxyApp } from '../../types/options'
import { FST_PROX_INVALID_OPTION, show } from '../errors'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import { CONSTRAINT } from './private-routes'
import { parseUnicodeHost } from '../http/host'

const WILDCARD = '*.'

/** What `hasRoute` and `findRoute` take. */
interface RouteQuery {
  constraints?: Record<string, unknown>
}

export class ProxyHosts {
  readonly #routes: PrivateRoutes
  readonly #exact = new Map<string, PrivateSection>()
  /** By parent domain; the name `a.b.c` belongs to `*.b.c` before `*.c`. */
  readonly #wildcards = new Map<string, PrivateSection>()

  constructor (routes: PrivateRoutes) {
    this.#routes = routes
  }

  /** The proxy host that a host belongs to. */
  match (hostname: string): PrivateSection | undefined {
    const exact = this.#exact.get(hostname)
    if (exact !== undefined || this.#wildcards.size === 0) return exact
    for (let dot = hostname.indexOf('.'); dot !== -1; dot = hostname.indexOf('.', dot + 1)) {
      const section = this.#wildcards.get(hostname.slice(dot + 1))
      if (section !== undefined) return section
    }
    return undefined
  }

  /**
   * Adds a proxy host, or returns the one that is there.
   * @param name a host, or `*.` and a domain: one left-most label or more
   * @param option what the name came by, for the error
   */
  add (name: string, option: string): PrivateSection {
    const wildcard = name.startsWith(WILDCARD)
    const hostname = parseUnicodeHost(wildcard ? name.slice(WILDCARD.length) : name)
    if (hostname === null) {
      const all = name === '*' ? ' (for all hosts there is the option resolver)' : ''
      throw new FST_PROX_INVALID_OPTION(
        option, `host names such as "api.example.com" or "*.example.com", without port${all}`, show(name))
    }
    return this.#addTo(wildcard ? this.#wildcards : this.#exact, hostname, wildcard ? WILDCARD + hostname : hostname)
  }

  /**
   * Adds the proxy hosts of the option `proxyApps`, with the contexts of their apps.
   * @throws FST_PROX_INVALID_OPTION for two spellings of one host
   */
  addApps (fastify: FastifyInstance, apps: ReadonlyArray<readonly [name: string, app: ProxyApp]>): void {
    const spellings = new Map<PrivateSection, string>()
    for (const [name, app] of apps) {
      const section = this.add(name, 'proxyApps')
      const other = spellings.get(section)
      if (other !== undefined) {
        throw new FST_PROX_INVALID_OPTION('proxyApps', 'each host once', `${show(other)} and ${show(name)}`)
      }
      spellings.set(section, name)
      if (app !== null) fastify.register(this.context(section, app))
    }
  }

  /** The same for a name that is shown to clients, and so is not for a wildcard. */
  addName (name: string, option: string): PrivateSection {
    const hostname = parseUnicodeHost(name)
    if (hostname === null) {
      throw new FST_PROX_INVALID_OPTION(option, 'a host name such as "api.example.com", without port', show(name))
    }
    return this.#addTo(this.#exact, hostname, hostname)
  }

  /** Has routes with `constraints: { proxyHost }` answer that proxy host; to be called from an `onRoute` hook. */
  assignConstrained (route: RouteOptions): void {
    const name: unknown = route.constraints?.[CONSTRAINT]
    if (name === undefined) return
    route.constraints = { ...route.constraints, [CONSTRAINT]: this.#constraint(name).name }
  }

  /** A plugin that gives `app` a context of its own, all the routes of which answer one proxy host. */
  context (section: PrivateSection, app: NonNullable<ProxyApp>): FastifyPluginAsync {
    return async (child) => {
      this.#routes.enclose(section, child)
      await child.register(app as FastifyPluginAsync)
    }
  }

  /**
   * Has `hasRoute` and `findRoute` find the routes of proxy hosts: with the constraint `proxyHost`, and in the context
   * of a proxy app without.
   */
  answerQueries (fastify: FastifyInstance): void {
    const { hasRoute, findRoute } = fastify
    const hosts = this
    fastify.hasRoute = function (query) { return hasRoute.call(this, hosts.#located(this, query)) }
    fastify.findRoute = function (query) { return findRoute.call(this, hosts.#located(this, query)) }
  }

  #located<Query extends RouteQuery> (context: FastifyInstance, query: Query): Query {
    const name = query.constraints?.[CONSTRAINT] ?? this.#routes.sectionOf(context)?.name
    if (name === undefined) return query
    return { ...query, constraints: { ...query.constraints, [CONSTRAINT]: this.#constraint(name).name } }
  }

  #constraint (name: unknown): PrivateSection {
    const option = `constraints.${CONSTRAINT}`
    if (typeof name !== 'string') throw new FST_PROX_INVALID_OPTION(option, 'a host name', show(name))
    return this.add(name, option)
  }

  #addTo (table: Map<string, PrivateSection>, hostname: string, name: string): PrivateSection {
    const known = table.get(hostname)
    if (known !== undefined) return known
    const section = this.#routes.addSection(name)
    table.set(hostname, section)
    return section
  }
}
