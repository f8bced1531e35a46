/** Leaves the bodies of forwarding routes to `reply.forward()`, whatever content-type parsers there are. */
import type { FastifyInstance, RouteOptions, preParsingHookHandler, preValidationHookHandler } from 'fastify'

/** The type that stands in the place of a marked request's own, so that the parser of this type is called. */
const UNPARSED = 'application/vnd.fastify-prox.unparsed'

/**
 * Routes of this very context forward unless they say `config: { forward: false }` or validate a body; routes of
 * contexts inside it forward when they say `config: { forward: true }`.
 */
export function leaveBodiesAlone (fastify: FastifyInstance): void {
  if (!fastify.hasContentTypeParser(UNPARSED)) {
    fastify.addContentTypeParser(UNPARSED, (_request, _payload, done) => done(null))
  }
  fastify.addHook('onRoute', function (this: FastifyInstance, route) {
    if (!forwards(route, this === fastify)) return
    route.preParsing = [...[route.preParsing ?? []].flat() as preParsingHookHandler[], markUnparsed]
    route.preValidation = [unmark, ...[route.preValidation ?? []].flat() as preValidationHookHandler[]]
  })
}

export function forwards ({ config, schema }: RouteOptions, here: boolean): boolean {
  const { forward = here && schema?.body === undefined } = config ?? {}
  return forward !== false
}

/** Names a type that has the parser above. */
const markUnparsed: preParsingHookHandler = (request, _reply, payload, done) => {
  request.headers = { 'content-type': UNPARSED }
  done(null, payload)
}

/** Has the request show the client's own type again. */
const unmark: preValidationHookHandler = (request, _reply, done) => {
  request.headers = undefined as unknown as typeof request.headers
  done()
}
