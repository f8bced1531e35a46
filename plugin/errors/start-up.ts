/** Errors of options and of the start. */
import createError from '@fastify/error'

/** An option that is not what it has to be: its name, what it takes, what it got. */
export const FST_PROX_INVALID_OPTION = createError<[option: string, takes: string, got: string]>(
  'FST_PROX_INVALID_OPTION', 'The option %s takes %s, got %s', 500, TypeError as unknown as ErrorConstructor)

/** An option that does not exist, and the one that was probably meant. */
export const FST_PROX_UNKNOWN_OPTION = createError<[option: string, advice: string]>(
  'FST_PROX_UNKNOWN_OPTION', 'There is no option %s. %s', 500, TypeError as unknown as ErrorConstructor)

/** One server has one proxy. */
export const FST_PROX_ALREADY_REGISTERED = createError(
  'FST_PROX_ALREADY_REGISTERED', 'fastify-prox is registered already, and one proxy answers for the whole server')

/** The proxy answers for the whole server, so it is registered at the root and without a prefix. */
export const FST_PROX_NOT_AT_ROOT = createError<[how: string]>(
  'FST_PROX_NOT_AT_ROOT', 'fastify-prox answers for the whole server: register it %s')

/** Fastify's own error of this code, which names the proxy host as well. */
export const FST_ERR_DUPLICATED_ROUTE = createError<[host: string, method: string, path: string]>(
  'FST_ERR_DUPLICATED_ROUTE', "The proxy host %s has a route for %s '%s' already")

/** What this package relies on has changed in Fastify or in its router. */
export const FST_PROX_UNSUPPORTED_FASTIFY = createError<[version: string, difference: string]>(
  'FST_PROX_UNSUPPORTED_FASTIFY',
  'fastify-prox cannot work with Fastify %s: %s. Update fastify-prox, or use an older Fastify 5')

/** What this package relies on is missing in the running Node. */
export const FST_PROX_UNSUPPORTED_NODE = createError<[version: string, missing: string]>(
  'FST_PROX_UNSUPPORTED_NODE', 'fastify-prox cannot work with Node.js %s, which lacks %s')
