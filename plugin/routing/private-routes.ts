/**
 * A part of Fastify's route table that only ingress can enter: the routes of proxy hosts, the route of CONNECT, and the
 * one where failures of ingress go. They neither hide nor are hidden by a route of the application, since they are
 * behind a constraint that no client can meet; and each section is under a prefix of its own, since find-my-way holds
 * no more than 31 constrained routes on one path.
 *
 * The prefix exists for the router alone. On `route.url` it stands while Fastify adds the route, on `req.url` while
 * Fastify looks one up; hooks, handlers and log lines see the URLs that the application and the client wrote.
 */
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { RawRequest } from '../../types/options'

/** The constraint's name, which is public: routes of the application may use it, with a proxy host as the value. */
export const CONSTRAINT = 'proxyHost'

const ROOT = '/~fastify-prox'

const kDestination = Symbol('fastify-prox.destination')

/** One group of private routes: those of a proxy host, say. */
export interface PrivateSection {
  readonly name: string
  readonly prefix: string
  /** Whether it has routes at all. */
  occupied: boolean
}

/** A request on its way into a section, and what it is to be again when the router has found the route. */
interface Destination {
  readonly section: PrivateSection
  readonly raw: RoutedRequest
  /** What the route was declared with; `null`: the request's own path, if the section has a route for it. */
  readonly route: { readonly method: string, readonly path: string } | null
  visibleUrl: string
  readonly visibleMethod: string
}

type RoutedRequest = Pick<RawRequest, 'headers'> & { method?: string, url?: string, [kDestination]?: Destination }

export class PrivateRoutes {
  readonly #fastify: FastifyInstance
  readonly #assigned = new WeakSet<RouteOptions>()
  /** The route that Fastify is about to add to its router, when all `onRoute` hooks have run. */
  #adding: RouteOptions | null = null
  #sections = 0

  constructor (fastify: FastifyInstance) {
    this.#fastify = fastify
    fastify.addConstraintStrategy({
      name: CONSTRAINT,
      storage: () => new SectionMap(),
      deriveConstraint: (raw: RoutedRequest) => this.#derive(raw),
      validate: () => { this.#adding = null },
      mustMatchWhenDerived: true
    })
  }

  addSection (name: string): PrivateSection {
    return { name, prefix: `${ROOT}/${this.#sections++}`, occupied: false }
  }

  /**
   * Moves a route into a section, the first that asks; to be called from an `onRoute` hook. Other hooks, before and
   * after, see its URL as it was; what they see of the move is the constraint.
   */
  assign (section: PrivateSection, route: RouteOptions): void {
    if (this.#assigned.has(route)) return
    this.#assigned.add(route)
    section.occupied = true
    route.constraints = { ...route.constraints, [CONSTRAINT]: section.name }

    // Fastify reads the logger's factory after the hooks and before the URL that it hands to the router, which then
    // validates the constraints. A setter, since one route may be added twice: with and without a trailing slash.
    const { childLoggerFactory } = route
    let { url } = route
    Object.defineProperties(route, {
      url: {
        get: () => this.#adding === route ? privateUrl(section, url) : url,
        set: (value: string) => { url = value }
      },
      childLoggerFactory: {
        get: () => {
          this.#adding = route
          return childLoggerFactory
        },
        enumerable: false
      }
    })
  }

  /** Whether the section has a route of exactly this path, which may have parameters. */
  hasPath (section: PrivateSection, method: string, path: string): boolean {
    return this.#fastify.hasRoute({ method, url: section.prefix + path, constraints: { [CONSTRAINT]: section.name } })
  }

  /** Has a request routed by this route of the section; hooks and handlers will see `visibleUrl`, and its own method. */
  routeTo (section: PrivateSection, raw: RoutedRequest, path: string, visibleUrl: string, method = raw.method!): void {
    raw.url = visibleUrl
    raw[kDestination] = { section, raw, route: { method, path }, visibleUrl, visibleMethod: raw.method! }
  }

  /** Has a request for `url` routed by a route of the section, if there is one, and else by one of the application. */
  tryRoute (section: PrivateSection, raw: RoutedRequest, url: string): void {
    raw.url = url
    if (!section.occupied) return
    raw[kDestination] = { section, raw, route: null, visibleUrl: url, visibleMethod: raw.method! }
  }

  /** Called by the router at the start of a lookup; the next thing it does is to read the request's method and URL. */
  #derive (raw: RoutedRequest): Destination | undefined {
    const destination = raw[kDestination]
    if (destination === undefined) return undefined
    raw[kDestination] = undefined
    const { section, route } = destination
    if (route === null) {
      // Fastify's option `rewriteUrl` may have written another one.
      destination.visibleUrl = raw.url!
      const url = section.prefix + destination.visibleUrl
      if (!this.#has(section, raw, url)) return undefined
      raw.url = url
    } else {
      raw.method = route.method
      raw.url = section.prefix + route.path
    }
    return destination
  }

  #has ({ name }: PrivateSection, { method, headers }: RoutedRequest, url: string): boolean {
    const constraints: Record<string, unknown> = { [CONSTRAINT]: name, host: headers.host }
    const version = headers['accept-version']
    if (version !== undefined) constraints.version = version
    const found: Found | null = this.#fastify.findRoute({ method: method!, url, constraints })
    // Where the router cannot read a path, it finds what answers so, with the path: that is for the application.
    return found !== null && found.searchParams !== undefined
  }
}

type Found = Partial<ReturnType<FastifyInstance['findRoute']>>

/** What the router refuses to add, anything but a path or `*`, it is to refuse here too. */
function privateUrl ({ prefix }: PrivateSection, url: string): string {
  if (url === '*') return `${prefix}/*`
  return url[0] === '/' ? prefix + url : url
}

/** By name of a section. That the router asks for an destination is the sign that it has read the URL. */
class SectionMap<Routes> {
  readonly #routes = new Map<string, Routes>()

  get (key: string | Destination): Routes | null {
    if (typeof key === 'string') return this.#routes.get(key) ?? null
    key.raw.url = key.visibleUrl
    key.raw.method = key.visibleMethod
    return this.get(key.section.name)
  }

  set (name: string, routes: Routes): void {
    this.#routes.set(name, routes)
  }
}
