/** Errors of the client helpers. */
import createError from '@fastify/error'

/** There is no address before the server listens, and after it was closed. */
export const FST_PROX_NOT_LISTENING = createError<[caller: string]>(
  'FST_PROX_NOT_LISTENING',
  '%s() needs the address of a server that listens: call it after fastify.listen() and before fastify.close()')

/** No variable and no dispatcher can name a proxy on a unix socket. */
export const FST_PROX_UNIX_SOCKET = createError<[caller: string]>(
  'FST_PROX_UNIX_SOCKET', '%s() needs a server that listens on a port, and this one listens on a unix socket')

/** The optional peer dependency is missing, or does not load: `cause` says why. */
export const FST_PROX_NO_UNDICI = createError<[caller: string, options: { cause: unknown }]>(
  'FST_PROX_NO_UNDICI', '%s() needs undici 7 or 8, an optional peer dependency: npm install undici ' +
  '(undici@7 for Node before 22.19)')

/** Nothing in the application answers WebSockets, or the option `websockets` keeps them out. */
export const FST_PROX_NO_WEBSOCKETS = createError(
  'FST_PROX_NO_WEBSOCKETS', 'injectProxyWS() needs @fastify/websocket registered, and the option websockets not false')
