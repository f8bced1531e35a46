/**
 * The not-found handlers of proxy apps. Fastify has one for the whole server where contexts have no prefix, and what a
 * proxy app has no route for goes to the application: so the handler of a proxy app becomes catch-all routes of its own.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { FST_PROX_NOT_FOUND_HANDLER_ALREADY_SET } from '../errors'
import type { PrivateRoutes, PrivateSection } from './private-routes'

type Handler = RouteOptions['handler']
type Options = Pick<RouteOptions, 'preHandler' | 'preValidation'>

/**
 * Has `setNotFoundHandler` of a context, and of those in it, set handlers of the section alone.
 * @returns to be called when the context is complete: adds them where no route is
 */
export function keepNotFoundHandlers (child: FastifyInstance, routes: PrivateRoutes, section: PrivateSection): () => void {
  const catchAlls = new Map<string, () => void>()

  child.setNotFoundHandler = function (this: FastifyInstance, first?: Options | Handler, second?: Handler) {
    if (catchAlls.has(this.prefix)) throw new FST_PROX_NOT_FOUND_HANDLER_ALREADY_SET(section.name, this.prefix || '/')
    const options = typeof first === 'function' ? undefined : first
    const handler = (typeof first === 'function' ? first : second) ?? notFound
    catchAlls.set(this.prefix, () => addCatchAlls(this, routes, section, { ...options, handler }))
    answerCallNotFound(this, handler)
    return this
  }

  return () => { for (const add of catchAlls.values()) add() }
}

/** Every method that the server routes but CONNECT, which opens tunnels. */
export function methodsOf (fastify: FastifyInstance): string[] {
  return fastify.supportedMethods.filter((method) => method !== 'CONNECT')
}

function addCatchAlls (context: FastifyInstance, routes: PrivateRoutes, section: PrivateSection, options: Options & { handler: Handler }): void {
  const { prefix } = context
  for (const url of prefix === '' || prefix.endsWith('/') ? ['/*'] : ['', '/*']) {
    const path = prefix.endsWith('/') ? `${prefix}*` : prefix + url
    const method = methodsOf(context).filter((method) => !routes.hasPath(section, method, path))
    if (method.length > 0) context.route({ ...options, method, url })
  }
}

/** `reply.callNotFound` would be answered by the application's handler. */
function answerCallNotFound (context: FastifyInstance, handler: Handler): void {
  context.addHook('onRequest', (request, reply, done) => {
    reply.callNotFound = () => {
      // The handler may call it in its turn.
      reply.callNotFound = () => notFound(request, reply)
      answer(handler, context, request, reply)
      return reply
    }
    done()
  })
}

async function answer (handler: Handler, context: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  try {
    const payload = await handler.call(context, request, reply)
    if (payload !== undefined && !reply.sent) reply.send(payload)
  } catch (err) {
    reply.send(err)
  }
}

/** As Fastify's own. */
function notFound ({ method, url }: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ message: `Route ${method}:${url} not found`, error: 'Not Found', statusCode: 404 })
}
