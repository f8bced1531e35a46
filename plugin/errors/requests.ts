/** Errors that answer requests, and of what the application decides about them. */
import createError from '@fastify/error'
import { kindOf } from './show'

/** A request target that is neither origin-form nor an absolute-form that can be answered (RFC 9112 3.2). */
export const FST_PROX_BAD_TARGET = createError<[target: string]>(
  'FST_PROX_BAD_TARGET', '%s is not a URL that this proxy can answer', 400)

/** The target of a CONNECT is not a host and a port (RFC 9110 9.3.6). */
export const FST_PROX_BAD_AUTHORITY = createError<[target: string]>(
  'FST_PROX_BAD_AUTHORITY', '%s is not a host and a port to open a tunnel to', 400)

/** A CONNECT with content, which has no meaning (RFC 9110 9.3.6). */
export const FST_PROX_CONNECT_WITH_CONTENT = createError(
  'FST_PROX_CONNECT_WITH_CONTENT', 'A CONNECT request cannot have content', 400)

/** The resolver asks for credentials (RFC 9110 15.5.8). */
export const FST_PROX_AUTH_REQUIRED = createError(
  'FST_PROX_AUTH_REQUIRED', 'Proxy Authentication Required', 407)

/** A resolver's `requireAuth` answered something else than a realm or nothing: nobody passes. */
export const FST_PROX_BAD_REALM = createError<[got: string]>(
  'FST_PROX_BAD_REALM', 'requireAuth has to answer a realm, null or undefined, and answered %s', 500)

/** The `onConnect` policy refuses a tunnel, with the status code it chose. */
export const FST_PROX_CONNECT_REFUSED = createError<[authority: string]>(
  'FST_PROX_CONNECT_REFUSED', 'A tunnel to %s is not allowed', 403)

/** The `onConnect` policy answered neither a status code for errors nor `pass()` nor nothing: no tunnel opens. */
export const FST_PROX_BAD_DECISION = createError<[got: string]>(
  'FST_PROX_BAD_DECISION',
  'onConnect has to answer a status code from 400 to 599, pass() or nothing, and answered %s', 500)

/** A connection from a balancer does not begin with the header of the PROXY protocol. Logged, never thrown. */
export const FST_PROX_BAD_PROXY_HEADER = createError<[from: string, reason: string]>(
  'FST_PROX_BAD_PROXY_HEADER', 'The connection from %s was closed, by the option proxyProtocol: %s')

/** A limit of open tunnels is met. */
export const FST_PROX_TOO_MANY_TUNNELS = createError<[limit: number]>(
  'FST_PROX_TOO_MANY_TUNNELS', 'Too many tunnels are open: the limit is %s', 503)

/** The server is closing and opens no more tunnels. */
export const FST_PROX_CLOSING = createError(
  'FST_PROX_CLOSING', 'The proxy is closing', 503)

/** A request in a tunnel for an origin that the certificate of the tunnel does not cover (RFC 9110 15.5.20). */
export const FST_PROX_MISDIRECTED = createError<[origin: string]>(
  'FST_PROX_MISDIRECTED', 'This tunnel is not one to %s', 421)

/** The resolver answered something else than a URL of the application. */
export const FST_PROX_BAD_RESOLUTION = createError<[got: string]>(
  'FST_PROX_BAD_RESOLUTION', 'The resolver has to answer a URL that begins with "/", and answered %s', 500)

/** The resolver, its `requireAuth` or `onConnect` threw something else than an error: a string, say, or nothing. */
export const FST_PROX_NO_RESOLUTION = createError<[what: string, got: string]>(
  'FST_PROX_NO_RESOLUTION', '%s has to throw an error if it throws, and threw %s', 500)

/**
 * What a function of the application has thrown, as an error. An object counts as one, as it does for Fastify: it may
 * have a `statusCode`.
 * @param what the function's name, for the message
 */
export function thrownBy (what: string, err: unknown): unknown {
  return typeof err === 'object' && err !== null ? err : new FST_PROX_NO_RESOLUTION(what, kindOf(err))
}
