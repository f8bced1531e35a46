/**
 * Routes that only a proxied request can reach: those of proxy hosts, and the plugin's own. They are in private
 * sections, one for each proxy host, which have a route table of their own: a router of the same kind and with the same
 * settings as the application's. So they neither hide nor are hidden by a route of the application, and none of them
 * shows in a URL.
 *
 * Fastify adds each route itself, with all that belongs to it; what differs is the table that it ends in. And Fastify
 * looks each request up itself; what differs is where a request that belongs to a private section is found. The
 * constraint `proxyHost` tells the one and the other.
 */
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { RawRequest } from '../../types/options'
import { routersOf, unsupported } from '../compat/fastify-routers'
import type { Routers } from '../compat/fastify-routers'
import { emptyCopyOf, lookupByFind, replaceMethod } from '../compat/find-my-way'
import type { Constraints, Handle, Router } from '../compat/find-my-way'
import { FST_ERR_DUPLICATED_ROUTE } from '../errors'
import { withDecodablePath } from '../http/decodable'
import { scopeNotFoundHandlers } from './not-found'
import { quietRefusal } from './refusals'

/** The constraint's name, which is public: routes of the application may use it, with a proxy host as the value. */
export const CONSTRAINT = 'proxyHost'

const kSection = Symbol('fastify-prox.section')

/** A group of private routes: those of a proxy host, say. */
export interface PrivateSection {
  readonly name: string
  /** `null`: it has no routes. */
  table: Router | null
  /** Its not-found handlers; `null`: it has none. */
  notFound: Router | null
  /** Whether each request of the section is for its one route, whatever the method and the URL. */
  readonly single: boolean
}

type SectionedRequest = Pick<RawRequest, 'headers'> & { method?: string, url?: string, [kSection]?: PrivateSection }
type SectionedContext = FastifyInstance & { [kSection]?: PrivateSection }

/** Where requests belong that are for the application, but have a path that its router cannot decode. */
const APPLICATION: PrivateSection = { name: 'application', table: null, notFound: null, single: false }

export class PrivateRoutes {
  readonly #fastify: FastifyInstance
  readonly #routers: Routers
  readonly #sections = new Map<string, PrivateSection>()

  /** @throws FST_PROX_UNSUPPORTED_FASTIFY */
  constructor (fastify: FastifyInstance) {
    this.#fastify = fastify
    this.#routers = routersOf(fastify)
    fastify.addConstraintStrategy({
      name: CONSTRAINT,
      /* c8 ignore next: find-my-way asks for one, and for nothing in it as long as the constraint is unset here */
      storage: () => new Map(),
      deriveConstraint: (raw: SectionedRequest) => raw[kSection],
      // What this class does not find is found by nobody.
      mustMatchWhenDerived: true
    })
    this.#addRoutes()
    this.#findRoutes()
    this.#printRoutes()
  }

  /** Adds a private section. Its routes are those of its `context`, and those with its name as their constraint. */
  addSection (name: string): PrivateSection {
    const section: PrivateSection = { name, table: null, notFound: null, single: false }
    this.#sections.set(name, section)
    return section
  }

  /** Adds a section with one route, of the plugin's own, where `routeTo` leads; hooks can tell it by `config`. */
  addRoute (
    name: 'connect' | 'failure', options: Pick<RouteOptions, 'preParsing' | 'onError' | 'onResponse' | 'handler'>
  ): PrivateSection {
    const section: PrivateSection = { name, table: null, notFound: null, single: true }
    const fastify = this.#fastify
    fastify.register(async (child) => {
      this.#setSection(child, section)
      const inherited = child.errorHandler
      child.route({
        ...options,
        method: 'GET',
        url: '/',
        errorHandler (err, request, reply) {
          quietRefusal(err, reply)
          // The application may have set its own since. What is thrown goes to the one that the route has inherited.
          if (fastify.errorHandler === inherited) throw err
          return fastify.errorHandler(err, request, reply)
        },
        exposeHeadRoute: false,
        // @fastify/swagger leaves it out.
        schema: { hide: true } as object,
        config: { fastifyProx: name }
      })
      if (section.table === null) throw unsupported(fastify, 'it adds routes otherwise')
    })
    return section
  }

  /** The section that routes of a context belong to. */
  sectionOf (context: FastifyInstance): PrivateSection | undefined {
    return (context as SectionedContext)[kSection]
  }

  /** Has the routes and the not-found handlers of a context, and of those in it, belong to a section. */
  enclose (section: PrivateSection, context: FastifyInstance): void {
    this.#setSection(context, section)
    context.addHook('onRoute', (route) => this.assign(section, route))
    scopeNotFoundHandlers(context, this.#routers)
  }

  /** Moves a route into a section, unless it is in one; to be called from an `onRoute` hook. */
  assign (section: PrivateSection, route: RouteOptions): void {
    route.constraints = { [CONSTRAINT]: section.name, ...route.constraints }
  }

  /** Has a request answered by the route of a section that `addRoute` returned. */
  routeTo (section: PrivateSection, raw: SectionedRequest, visibleUrl: string): void {
    raw.url = visibleUrl
    raw[kSection] = section
  }

  /**
   * Has a request for `url` answered by a route of the section, if there is one, else by a not-found handler of the
   * section, if there is one, and else by the application.
   */
  tryRoute (section: PrivateSection, raw: SectionedRequest, url: string): void {
    raw.url = url
    raw[kSection] = section
  }

  /** Has a request for `url` answered by the application. */
  routeToApplication (raw: SectionedRequest, url: string): void {
    raw.url = url
    if (url.includes('%')) raw[kSection] = APPLICATION
  }

  #setSection (context: SectionedContext, section: PrivateSection): void {
    context[kSection] = section
  }

  /** Has routes and not-found handlers end in the tables that they belong to. */
  #addRoutes (): void {
    const { router, notFoundRouter } = this.#routers
    const { on, addConstraintStrategy } = router
    router.on = (method, path, options, handler, store) => {
      // Fastify always hands over an object.
      const { [CONSTRAINT]: name, ...constraints } = options.constraints!
      const section = typeof name === 'string' ? this.#sections.get(name) : contextSection(store)
      if (section === undefined) return on.call(router, method, path, options, handler, store)
      section.table ??= emptyCopyOf(router)
      try {
        section.table.on(method, path, { constraints }, handler, store)
      } catch (err) {
        throw withSection(err, section, method, path)
      }
    }
    router.addConstraintStrategy = (strategy) => {
      addConstraintStrategy.call(router, strategy)
      for (const { table } of this.#sections.values()) table?._rebuild(table.routes)
    }

    const { all } = notFoundRouter
    notFoundRouter.all = (path, handler, store) => {
      const section = contextSection(store)
      if (section === undefined) return all.call(notFoundRouter, path, handler, store)
      section.notFound ??= emptyCopyOf(notFoundRouter)
      section.notFound.all(path, handler, store)
    }
  }

  /** Has requests found in the tables that they belong to. */
  #findRoutes (): void {
    const { router, notFoundRouter } = this.#routers
    replaceMethod(router, 'find', (original) => (method, path, constraints) => {
      const section = constraints?.[CONSTRAINT] as PrivateSection | string | undefined
      if (section === undefined) return original.method.call(router, method, path, constraints)
      if (typeof section === 'string') {
        const others = { ...constraints, [CONSTRAINT]: undefined }
        return this.#sections.get(section)?.table?.find(method, path, others) ?? null
      }
      constraints![CONSTRAINT] = undefined
      return findInSection(section, method, path, constraints!) ??
        original.method.call(router, method, withDecodablePath(path), constraints)
    })
    const lookup = lookupByFind(router)
    replaceMethod(router, 'lookup', (original) => (raw, response, context, done) =>
      ((raw as SectionedRequest)[kSection] === undefined ? original.method : lookup)
        .call(router, raw, response, context, done))
    replaceMethod(notFoundRouter, 'lookup', (original) => (raw, response, context, done) => {
      const { [kSection]: section, method, url } = raw as SectionedRequest
      if (section === undefined) return original.method.call(notFoundRouter, raw, response, context, done)
      return notFoundRouter.callHandler(notFoundRouter.find(method!, withDecodablePath(url!)), raw, response)
    })

    const { compile, findRoute } = router
    router.compile = () => {
      for (const { table } of this.#sections.values()) table?.compile?.()
      return compile?.call(router)
    }
    router.findRoute = (method, path, constraints = {}) => {
      const { [CONSTRAINT]: name, ...others } = constraints
      if (name === undefined) return findRoute.call(router, method, path, constraints)
      return this.#sections.get(name as string)?.table?.findRoute(method, path, others) ?? null
    }
  }

  /** Has `printRoutes` print the tables of proxy hosts below that of the application, each below its name. */
  #printRoutes (): void {
    const { printRoutes } = this.#fastify
    this.#fastify.printRoutes = (options = {}) => {
      // Fastify fills in the options.
      const tables = [printRoutes.call(this.#fastify, options)]
      for (const { name, table } of this.#sections.values()) {
        if (table !== null) tables.push(`${name}\n${table.prettyPrint(options)}`)
      }
      return tables.join('\n')
    }
  }
}

function findInSection (
  { table, notFound, single }: PrivateSection, method: string, path: string, constraints: Constraints
): Handle | null {
  if (single) return table!.find('GET', '/', constraints)
  if (table === null && notFound === null) return null
  const decodable = withDecodablePath(path)
  return table?.find(method, decodable, constraints) ?? notFound?.find(method, decodable) ?? null
}

/** The section of the context that a route is of. */
function contextSection (store: unknown): PrivateSection | undefined {
  return (store as { server: SectionedContext }).server[kSection]
}

function withSection (err: unknown, section: PrivateSection, method: string | string[], path: string): unknown {
  if (!(err instanceof Error) || !err.message.includes('already declared')) return err
  return new FST_ERR_DUPLICATED_ROUTE(section.name, String(method), path)
}
