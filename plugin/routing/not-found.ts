/** Not-found handlers of proxy apps: Fastify's own, in the scope of the proxy app. */
import type { FastifyInstance } from 'fastify'
import type { Routers } from '../compat/fastify-routers'

type SetNotFoundHandler = (this: FastifyInstance, ...args: unknown[]) => FastifyInstance

/**
 * Lets a context without a prefix, and those in it, have a not-found handler of their own, as Fastify lets a context
 * with a prefix. The first that is set for the whole context takes the place of Fastify's own, as it does at the root;
 * before, there is none, since what a proxy app has no route for goes to the application.
 */
export function scopeNotFoundHandlers (context: FastifyInstance, routers: Routers): void {
  // As Fastify takes it: without a handler, too.
  const setNotFoundHandler = context.setNotFoundHandler as SetNotFoundHandler
  let dropped = false
  routers.allowNotFoundHandler(context)
  const scoped: SetNotFoundHandler = function (...args) {
    if (!dropped && (this.prefix === '' || this.prefix === '/')) {
      dropped = true
      routers.dropNotFoundHandler(context)
      setNotFoundHandler.call(context)
    }
    return setNotFoundHandler.apply(this, args)
  }
  context.setNotFoundHandler = scoped
}
