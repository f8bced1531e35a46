/** Proxy hosts: names that the application answers itself, each with a section of private routes of its own. */
import type { FastifyPluginAsync, RouteOptions } from 'fastify'
import type { ProxyApp } from '../../types/options'
import { FST_PROX_INVALID_OPTION, show } from '../errors'
import { keepNotFoundHandlers } from './not-found'
import type { PrivateRoutes, PrivateSection } from './private-routes'
import { CONSTRAINT } from './private-routes'
import { parseUnicodeHost } from '../http/host'

const WILDCARD = '*.'

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
      throw new FST_PROX_INVALID_OPTION(option, 'host names such as "api.example.com" or "*.example.com", without port', show(name))
    }
    return this.#addTo(wildcard ? this.#wildcards : this.#exact, hostname, wildcard ? WILDCARD + hostname : hostname)
  }

  /** The same for a name that is shown to clients, and so is not for a wildcard. */
  addName (name: string, option: string): PrivateSection {
    const hostname = parseUnicodeHost(name)
    if (hostname === null) {
      throw new FST_PROX_INVALID_OPTION(option, 'a host name such as "api.example.com", without port', show(name))
    }
    return this.#addTo(this.#exact, hostname, hostname)
  }

  /** Routes with `constraints: { proxyHost }` answer that proxy host. */
  assignConstrained (route: RouteOptions): void {
    const name: unknown = route.constraints?.[CONSTRAINT]
    if (name === undefined) return
    if (typeof name !== 'string') {
      throw new FST_PROX_INVALID_OPTION(`constraints.${CONSTRAINT}`, 'a host name', show(name))
    }
    this.#routes.assign(this.add(name, `constraints.${CONSTRAINT}`), route)
  }

  /** A plugin that gives `app` a context of its own, all the routes of which answer one proxy host. */
  context (section: PrivateSection, app: NonNullable<ProxyApp>): FastifyPluginAsync {
    return async (child) => {
      child.addHook('onRoute', (route) => this.#routes.assign(section, route))
      const addNotFoundHandlers = keepNotFoundHandlers(child, this.#routes, section)
      await child.register(app as FastifyPluginAsync)
      addNotFoundHandlers()
    }
  }

  #addTo (table: Map<string, PrivateSection>, hostname: string, name: string): PrivateSection {
    const known = table.get(hostname)
    if (known !== undefined) return known
    const section = this.#routes.addSection(name)
    table.set(hostname, section)
    return section
  }
}
