/** Every error of this package: `@fastify/error` classes whose codes begin with `FST_PROX_`. */
import { inspect } from 'node:util'
import createError from '@fastify/error'

/** Characters of a string that a message shows: enough for a host or a realm, too few for a private key. */
const LONGEST_SHOWN = 60
const ELEMENTS_SHOWN = 3

/** An option that is not what it has to be: its name, what it takes, what it got. */
export const FST_PROX_INVALID_OPTION = createError<[option: string, takes: string, got: string]>(
  'FST_PROX_INVALID_OPTION', 'The option %s takes %s, got %s', 500, TypeError as unknown as ErrorConstructor)

/** An option that does not exist, and the one that was probably meant. */
export const FST_PROX_UNKNOWN_OPTION = createError<[option: string, advice: string]>(
  'FST_PROX_UNKNOWN_OPTION', 'There is no option %s. %s', 500, TypeError as unknown as ErrorConstructor)

/** Whether a text is PEM: a key or a certificate, where its file's path or something else belongs. */
export function isPemText (text: string): boolean {
  return text.includes('-----BEGIN')
}

/** A long text of base64 or hexadecimal digits alone, as keys and tokens are. */
const DIGITS_ALONE = /^[\w+/=\s-]{41,}$/

/**
 * A value as a message shows it, by its kind alone: a secret may have come to the wrong place, and messages go into
 * logs and answers.
 */
export function kindOf (value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : isPemText(value) ? 'a PEM text' : 'a string'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Error) return 'an Error'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/**
 * A value that should be no secret as a message shows it: numbers, short strings and lists of them as they are,
 * anything else by its kind, and so is a string that looks like a key.
 */
export function show (value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') {
    return value.length > LONGEST_SHOWN || isPemText(value) || DIGITS_ALONE.test(value) ? kindOf(value) : inspect(value)
  }
  if (!Array.isArray(value)) return kindOf(value)
  const shown = value.slice(0, ELEMENTS_SHOWN)
  const elements = shown.map((element) => Array.isArray(element) ? kindOf(element) : show(element))
  return `[${elements.join(', ')}${value.length > ELEMENTS_SHOWN ? ', …' : ''}]`
}

/** The message of whatever was thrown; code that is not ours throws all kinds of values, or nothing. */
export function reasonOf (err: unknown): string {
  return err instanceof Error ? err.message : `it failed with ${show(err)}`
}

// Start-up

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

// Requests

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

// Hosts

/** Neither a DNS name nor an IP address. */
export const FST_PROX_INVALID_HOST = createError<[host: string]>(
  'FST_PROX_INVALID_HOST', '%s is neither a host name nor an IP address', 400)

// The certificate authority

/** The name constraints of the CA (RFC 5280 4.2.1.10) keep it from signing for the host: clients would refuse it. */
export const FST_PROX_HOST_NOT_PERMITTED = createError<[host: string, ca: string]>(
  'FST_PROX_HOST_NOT_PERMITTED', 'The name constraints of the CA "%s" do not permit a certificate for %s', 403)

/** The CA is there and cannot be read. */
export const FST_PROX_CA_UNREADABLE = createError<[source: string, reason: string]>(
  'FST_PROX_CA_UNREADABLE', 'The certificate authority in %s cannot be read: %s')

/** What is there is not a private key and a certificate. */
export const FST_PROX_CA_CORRUPT = createError<[source: string, reason: string]>(
  'FST_PROX_CA_CORRUPT', 'There is no usable certificate authority in %s: %s. It was left as it is')

/** No certificate there belongs to the private key. */
export const FST_PROX_CA_MISMATCH = createError<[source: string]>(
  'FST_PROX_CA_MISMATCH',
  'The private key and the certificate in %s do not belong together. They were left as they are')

/** The certificate may not sign others (RFC 5280 4.2.1.9 and 4.2.1.3). */
export const FST_PROX_CA_NOT_A_CA = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_A_CA', 'The certificate in %s is not one of a certificate authority: %s. It was left as it is')

/** Its time is over, or has not come. */
export const FST_PROX_CA_EXPIRED = createError<[source: string, notBefore: string, notAfter: string]>(
  'FST_PROX_CA_EXPIRED', 'The certificate authority in %s is valid from %s to %s only. It was left as it is')

/** Too many hosts wait for their certificates. */
export const FST_PROX_CA_BUSY = createError<[limit: number]>(
  'FST_PROX_CA_BUSY', 'Too many hosts wait for a certificate: the limit is %s', 503)

/** Those who asked for a certificate were gone before it was minted: closed tunnels. */
export const FST_PROX_LEAF_UNWANTED = createError<[host: string]>(
  'FST_PROX_LEAF_UNWANTED', 'Nobody waits for a certificate for %s any more', 499)

/** A private key of a kind that TLS clients do not verify. */
export const FST_PROX_CA_UNSUPPORTED_KEY = createError<[source: string, kind: string]>(
  'FST_PROX_CA_UNSUPPORTED_KEY', 'The private key in %s is %s; RSA, P-256, P-384, P-521 and Ed25519 can be used')

/** A new CA cannot be kept. */
export const FST_PROX_CA_NOT_WRITABLE = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_WRITABLE', 'A new certificate authority cannot be kept in %s: %s. ' +
  'Make its directory writable, choose another place with the option ca.file, hand in ca.key and ca.cert, ' +
  'or keep it in memory with ca.store: new Map()')

/** A step of a rotation that cannot be taken. */
export const FST_PROX_CA_NOT_ROTATED = createError<[source: string, reason: string]>(
  'FST_PROX_CA_NOT_ROTATED', 'The certificate authority in %s cannot be rotated: %s')

// Client helpers

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

// Connections to other hosts

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

// Forwarding

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

// Recording and replaying

/** The file has no entry that answers the request; the nearest ones follow, with what differs in each. */
export const FST_PROX_NOT_RECORDED = createError<[request: string, file: string, nearest: string]>(
  'FST_PROX_NOT_RECORDED', '%s is not recorded in %s%s', 501)

/** The file is missing, or not one to replay. */
export const FST_PROX_HAR_UNREADABLE = createError<[file: string, reason: string]>(
  'FST_PROX_HAR_UNREADABLE', 'The recording %s cannot be read: %s')

/** A recording cannot be written to its file or folder. */
export const FST_PROX_HAR_NOT_WRITABLE = createError<[file: string, reason: string]>(
  'FST_PROX_HAR_NOT_WRITABLE', 'The recording %s cannot be written: %s')

/** WARC files cannot be written to the folder. */
export const FST_PROX_WARC_NOT_WRITABLE = createError<[where: string, reason: string]>(
  'FST_PROX_WARC_NOT_WRITABLE', 'WARC files cannot be written to %s: %s')

/** A file of an archive is missing, or not one to replay. */
export const FST_PROX_WARC_UNREADABLE = createError<[file: string, reason: string]>(
  'FST_PROX_WARC_UNREADABLE', '%s cannot be read: %s')

/** The archive has no capture that answers the request; what is there of the host follows. */
export const FST_PROX_NOT_ARCHIVED = createError<[request: string, others: string]>(
  'FST_PROX_NOT_ARCHIVED', '%s is not in the archive. %s', 404)

/** `Accept-Datetime` is not a date (RFC 7089 4.5.3). */
export const FST_PROX_BAD_DATETIME = createError<[got: string]>(
  'FST_PROX_BAD_DATETIME', 'Accept-Datetime takes a date such as Tue, 01 Sep 2026 12:00:00 GMT, got %s', 400)

/** Somebody else is recording to the file. */
export const FST_PROX_HAR_IN_USE = createError<[file: string, owner: string, lock: string]>(
  'FST_PROX_HAR_IN_USE', '%s is being recorded by %s. If that is not so any more, remove %s')
