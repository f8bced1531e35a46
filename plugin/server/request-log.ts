/**
 * Has the log lines of proxied requests tell what was asked for: the full URL, the tunnel's id and the user, as
 * `proxy`. They are bindings of the logger that Fastify makes for each request, so whatever else is set for it holds:
 * `disableRequestLogging`, serializers, `childLoggerFactory`.
 */
import type { FastifyInstance } from 'fastify'
import type { RawRequest } from '../../types/options'
import { isSilent } from '../compat/silent-logger'
import { proxiedRequestOf } from '../routing/proxied-request'

type ChildLoggerFactory = FastifyInstance['childLoggerFactory']

/** Requests whose logger has the bindings. */
const labelled = new WeakSet<RawRequest>()

interface Bindings {
  readonly proxy: { readonly url: string, readonly tunnel?: string, readonly user?: string }
}

function bindingsOf (raw: RawRequest): Bindings | null {
  const proxied = proxiedRequestOf(raw)
  if (proxied === undefined) return null
  const { fullUrl: url, context: { tunnel, credentials } } = proxied
  const user = credentials !== null && { user: credentials.username }
  return { proxy: { url, ...(tunnel !== null && { tunnel: tunnel.id }), ...user } }
}

/** Wraps what makes the logger of a request. */
function withProxy (factory: ChildLoggerFactory): ChildLoggerFactory {
  return function (logger, bindings, options, raw) {
    const added = bindingsOf(raw)
    if (added === null) return factory.call(this, logger, bindings, options, raw)
    labelled.add(raw)
    return factory.call(this, logger, { ...bindings, ...added }, options, raw)
  }
}

/** Adds the fields to the lines of all requests, whoever makes their loggers. */
export function labelRequestLogs (fastify: FastifyInstance): void {
  if (isSilent(fastify.log)) return
  const { setChildLoggerFactory } = fastify
  fastify.setChildLoggerFactory = function (factory) { return setChildLoggerFactory.call(this, withProxy(factory)) }
  fastify.setChildLoggerFactory(fastify.childLoggerFactory)
  fastify.addHook('onRoute', (route) => {
    if (route.childLoggerFactory !== undefined) route.childLoggerFactory = withProxy(route.childLoggerFactory)
  })
  // Routes that were there before this plugin, and Fastify's own answer to what has no route, have other loggers.
  fastify.addHook('onRequest', (request, reply, done) => {
    const added = labelled.has(request.raw) ? null : bindingsOf(request.raw)
    if (added !== null) request.log = reply.log = request.log.child(added)
    done()
  })
}
