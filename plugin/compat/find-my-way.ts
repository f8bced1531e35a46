/**
 * find-my-way, Fastify's router, as far as this package relies on more than its documentation says.
 *
 * Relied on:
 * - `lookup` derives the constraints, hands them with the request's method and URL to `this.find`, and what that
 *   returns to `this.callHandler`. Nothing else reads the URL.
 * - The constraints of a lookup are an object of that lookup alone, and `undefined` in it is as good as absent.
 * - `hasRoute` asks `this.findRoute`.
 * - Fastify 5.0 calls the `lookup` of the class, whatever stands in its place later: a `find` is asked by all versions.
 * - `compile`, where there is one, puts faster versions of `find` and `lookup` on the router itself.
 * - `_opts` are the options of the constructor; a router works with the `constrainer` of another; `_rebuild(routes)`
 *   adds its routes anew, which makes them heed constraint strategies that were added since.
 *
 * Seen in 9.0.0 to 9.10.1. `assertLookupAsKnown` fails at start-up where the first of these no longer holds; without
 * it, the routes of proxy hosts would be answered with 404.
 */
export type Constraints = Record<string, unknown>

export type Handler = (raw: unknown, response: unknown, params: unknown, store: unknown, query: unknown) => unknown

/** A route that was found for a request, and its parameters. */
export interface Handle {
  readonly handler: Handler
  readonly store: unknown
}

export interface Router {
  constrainer: unknown
  readonly routes: readonly unknown[]
  readonly _opts: object
  on (
    method: string | string[], path: string, options: { constraints?: Constraints }, handler: Handler, store?: unknown
  ): void
  all (path: string, handler: Handler, store?: unknown): void
  find (method: string, path: string, constraints?: Constraints): Handle | null
  findRoute (method: string, path: string, constraints?: Constraints): object | null
  lookup (raw: object, response: object, context?: unknown, done?: unknown): unknown
  callHandler (handle: Handle | null, raw: object, response: object): unknown
  addConstraintStrategy (strategy: object): void
  hasConstraintStrategy (name: string): boolean
  prettyPrint (options?: object): string
  compile? (): unknown
  _rebuild (routes: readonly unknown[]): void
}

/** What finds a route, whatever `compile` has put in its place. */
export type Replaceable = 'find' | 'lookup'

/** A router of the same class and with the same options, without routes. */
export function emptyCopyOf (router: Router): Router {
  const { constructor: Router } = Object.getPrototypeOf(router) as { constructor: new (options: object) => Router }
  const copy = new Router({ ...router._opts, constraints: undefined })
  copy.constrainer = router.constrainer
  return copy
}

/**
 * Replaces `find` or `lookup` of a router for good: where the router itself assigns another one, as `compile` does,
 * that becomes the original.
 * @param make gets the original, as `original.method`, and returns what replaces it
 */
export function replaceMethod<Name extends Replaceable> (
  router: Router, name: Name, make: (original: { method: Router[Name] }) => Router[Name]
): void {
  const original = { method: router[name] }
  const replacement = make(original)
  Object.defineProperty(router, name, { get: () => replacement, set: (method) => { original.method = method } })
}

/** The `lookup` that goes by `find`, whatever `compile` has put in its place. */
export function lookupByFind (router: Router): Router['lookup'] {
  return (Object.getPrototypeOf(router) as Router).lookup
}

/**
 * Looks a request up in a router that is made for it.
 * @returns what is not as this package knows it; `null`: everything is
 */
export function findDifference (like: Router): string | null {
  const router = emptyCopyOf(like)
  const seen: unknown[] = []
  const [raw, response, store] = [{ method: 'GET', url: '/a?b', headers: {} }, {}, {}]
  router.on('GET', '/*', {}, () => {}, store)
  const plainFind = router.find
  router.find = (method, path, constraints) => {
    seen.push(method, path)
    return {
      ...plainFind.call(router, method, path, constraints)!,
      handler: (...args) => { seen.push(args[0], args[1], args[3]) }
    }
  }
  lookupByFind(router).call(router, raw, response)
  const known = ['GET', '/a?b', raw, response, store]
  return known.every((value, n) => seen[n] === value) ? null : 'lookup does not go by find'
}
