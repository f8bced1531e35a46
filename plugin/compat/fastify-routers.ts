/**
 * The routers of a Fastify instance, to which it has no documented way: the one of its routes and the one of its
 * not-found handlers.
 *
 * Relied on:
 * - `Symbol(fastify.404)` leads to the object with the router of not-found handlers and with `arrange404`, which makes
 *   a context one that may have a not-found handler of its own, as `register` does for a context with a prefix.
 * - `Symbol(fastify.404ContextKey)` holds a context's not-found handler, `null` where there is none yet.
 * - Not-found handlers are added by `router.all(path, handler, store)`, routes by
 *   `router.on(method, path, { constraints }, handler, store)`, and `store.server` is the context that they are of.
 *   Both are asked for HEAD routes, `hasRoute` and `findRoute` by methods of find-my-way's, on the router.
 * - The root instance is the only one that has `server` as a property of its own.
 *
 * Seen in Fastify 5.0.0 to 5.12.8. `routersOf` throws at start-up where one of them is not there.
 */
import type { FastifyInstance } from 'fastify'
import { FST_PROX_UNSUPPORTED_FASTIFY } from '../errors'
import { findDifference } from './find-my-way'
import type { Router } from './find-my-way'

interface FourOhFour {
  readonly router: Router
  readonly arrange404: (context: FastifyInstance) => void
}

/** The routers of a Fastify instance. */
export interface Routers {
  readonly router: Router
  readonly notFoundRouter: Router
  /** Lets a context without a prefix have a not-found handler of its own. */
  readonly allowNotFoundHandler: (context: FastifyInstance) => void
  /**
   * Takes the parent's not-found handler from a context, so that the next to be set adds one in place of changing it.
   */
  readonly dropNotFoundHandler: (context: FastifyInstance) => void
}

const METHODS = [
  'on', 'all', 'find', 'findRoute', 'lookup', 'callHandler', 'addConstraintStrategy', 'hasConstraintStrategy',
  'prettyPrint', '_rebuild'
] as const satisfies ReadonlyArray<keyof Router>

/** Whether an instance is the root of its application, and not the context of a plugin. */
export function isRoot (fastify: FastifyInstance): boolean {
  return Object.hasOwn(fastify, 'server')
}

/**
 * The routers of an instance.
 * @throws FST_PROX_UNSUPPORTED_FASTIFY where this Fastify or its find-my-way is not as described above
 */
export function routersOf (fastify: FastifyInstance): Routers {
  const kFourOhFour = symbolOf(fastify, 'fastify.404')
  const kContext = symbolOf(fastify, 'fastify.404ContextKey')
  const fourOhFour = fastify[kFourOhFour as keyof FastifyInstance] as unknown as Partial<FourOhFour>
  const { router: notFoundRouter, arrange404 } = fourOhFour
  if (notFoundRouter === undefined || arrange404 === undefined) {
    throw unsupported(fastify, 'its not-found handlers are not where they were')
  }
  const missing = METHODS.find((name) => typeof notFoundRouter[name] !== 'function')
  if (missing !== undefined) throw unsupported(fastify, `its router has no method ${missing}`)
  const difference = findDifference(notFoundRouter)
  if (difference !== null) throw unsupported(fastify, `in its router, ${difference}`)
  return {
    router: routerOf(fastify, notFoundRouter),
    notFoundRouter,
    allowNotFoundHandler: (context) => arrange404(context),
    dropNotFoundHandler: (context) => { Object.assign(context, { [kContext]: null }) }
  }
}

export function unsupported (fastify: FastifyInstance, difference: string): Error {
  return new FST_PROX_UNSUPPORTED_FASTIFY(fastify.version, difference)
}

/** The router of routes: the one whose method is called when the instance is asked for a constraint strategy. */
function routerOf (fastify: FastifyInstance, sibling: Router): Router {
  const prototype: Router = Object.getPrototypeOf(sibling)
  const { hasConstraintStrategy } = prototype
  let router: Router | undefined
  prototype.hasConstraintStrategy = function (this: Router, name) {
    router = this
    return hasConstraintStrategy.call(this, name)
  }
  try {
    fastify.hasConstraintStrategy('host')
  } finally {
    prototype.hasConstraintStrategy = hasConstraintStrategy
  }
  if (router === undefined) throw unsupported(fastify, 'its routes are not where they were')
  return router
}

function symbolOf (fastify: FastifyInstance, description: string): symbol {
  const symbol = Object.getOwnPropertySymbols(fastify).find((each) => each.description === description)
  if (symbol === undefined) throw unsupported(fastify, `it has no Symbol(${description})`)
  return symbol
}
