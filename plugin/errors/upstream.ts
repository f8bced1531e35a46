/** Errors of connections to other hosts, and of forwarding to them. */
import createError from '@fastify/error'

/** The address may not be connected to: it is private, or the proxy's own. */
export const FST_PROX_ADDRESS_REFUSED = createError<[host: string, address: string, reason: string]>(
  'FST_PROX_ADDRESS_REFUSED', '%s is %s, which is not connected to: %s', 403)

/** The name has no address. */
export const FST_PROX_UPSTREAM_UNRESOLVED = createError<[host: string, reason: string]>(
  'FST_PROX_UPSTREAM_UNRESOLVED', 'The name %s cannot be resolved: %s', 502)

/** The host refuses the connection, or cannot be reached. */
export const FST_PROX_UPSTREAM_UNREACHABLE = createError<[authority: string, reason: string]>(
  'FST_PROX_UPSTREAM_UNREACHABLE', 'No connection to %s: %s', 502)

/** The host took too long to be resolved or connected to, for its TLS handshake, its response head or the next byte. */
export const FST_PROX_UPSTREAM_TIMEOUT = createError<[authority: string, phase: string]>(
  'FST_PROX_UPSTREAM_TIMEOUT', '%s took too long (%s)', 504)

/** The TLS handshake failed, or the certificate is not one to trust: which, and why. */
export const FST_PROX_UPSTREAM_TLS = createError<[authority: string, reason: string]>(
  'FST_PROX_UPSTREAM_TLS', 'No TLS connection to %s: %s', 502)

/** The connection broke, or what came is not HTTP. */
export const FST_PROX_UPSTREAM_FAILED = createError<[authority: string, reason: string]>(
  'FST_PROX_UPSTREAM_FAILED', '%s gave no whole response: %s', 502)

/** The upstream proxy does not connect us. */
export const FST_PROX_UPSTREAM_PROXY = createError<[proxy: string, authority: string, reason: string]>(
  'FST_PROX_UPSTREAM_PROXY', 'The upstream proxy %s does not connect to %s: %s', 502)

/** There is no URL to forward to. */
export const FST_PROX_NOT_PROXIED = createError(
  'FST_PROX_NOT_PROXIED',
  'This is a proxy: a request that was not proxied is forwarded only if the route gives a URL', 404)

/** The URL that a route gives is not an absolute one of http, https, ws or wss. */
export const FST_PROX_INVALID_URL = createError<[url: string]>(
  'FST_PROX_INVALID_URL', '%s is not a URL to forward to', 500)

/** The request has been here before (RFC 9110 7.6.3). */
export const FST_PROX_LOOP = createError<[url: string]>(
  'FST_PROX_LOOP', 'The request for %s has come back to this proxy', 508)

/** A parser has consumed the body that is to be forwarded. */
export const FST_PROX_BODY_PARSED = createError<[method: string, url: string]>(
  'FST_PROX_BODY_PARSED',
  'The body of this request has been parsed and cannot be forwarded. Add config: { forward: true } to ' +
  'the route for %s %s, or register fastify-prox/forward in the context of the route', 500)

/** A body that `decode` cannot decode. */
export const FST_PROX_UNDECODABLE = createError<[coding: string, reason: string]>(
  'FST_PROX_UNDECODABLE', 'The response cannot be decoded (%s): %s', 502)

/** A decoded body is over the limit. */
export const FST_PROX_DECODED_TOO_LARGE = createError<[limit: number]>(
  'FST_PROX_DECODED_TOO_LARGE', 'The decoded response is larger than %s bytes', 502)

/** Content that has to be read whole is over the limit. */
export const FST_PROX_CONTENT_TOO_LARGE = createError<[limit: number]>(
  'FST_PROX_CONTENT_TOO_LARGE', 'The content of the request is larger than %s bytes', 413)
