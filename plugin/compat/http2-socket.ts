/**
 * `request.socket` over HTTP/2: the connection that the stream belongs to, for as long as a request is asked for it.
 *
 * Node's own (`Http2ServerRequest.socket`) throws a TypeError when the session has gone and the stream has not yet,
 * has no address when the stream has gone, adds listeners to the stream and removes them from the connection, and
 * turns the session's time-out off for a stream that wants none (20 to 26).
 */
import type { Http2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { isAlive } from './http2-state'

type AnySocket = Socket | TLSSocket

/** What is remembered of a connection, once for all of its requests. */
export interface Connection {
  readonly values: ReadonlyMap<PropertyKey, unknown>
  readonly prototype: object
}

const REMEMBERED = [
  'remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily', 'encrypted', 'authorized',
  'authorizationError', 'alpnProtocol', 'servername'
] as const

/** What belongs to the stream: listeners, its end, and its time-out. */
const OF_STREAM = new Set<PropertyKey>([
  'on', 'once', 'off', 'addListener', 'removeListener', 'removeAllListeners', 'prependListener', 'prependOnceListener',
  'listeners', 'listenerCount', 'emit', 'end', 'destroy', 'destroyed', 'closed', 'writable', 'setTimeout', 'timeout'
])

/** What would end the connection, and is for the stream. */
const ENDS = new Set<PropertyKey>(['destroySoon', 'resetAndDestroy'])

/** What would get into the frames of other streams. Node refuses it with an error of the same code. */
const REFUSED = new Set<PropertyKey>(['write', 'read', 'pause', 'resume'])

const GONE: Connection = { values: new Map(), prototype: Object.prototype }

const connections = new WeakMap<Http2Session, Connection>()

/** What is remembered of the connection of a stream; `socket` gives Node's socket for it, when it is the first. */
export function connectionOf (stream: ServerHttp2Stream, socket: () => AnySocket): Connection {
  const { session } = stream
  if (session === undefined) return GONE
  let connection = connections.get(session)
  if (connection === undefined) {
    if (!isAlive(stream)) return GONE
    const raw = socket()
    connection = {
      values: new Map(REMEMBERED.map((name) => [name, raw[name as keyof AnySocket]])),
      prototype: Object.getPrototypeOf(raw)
    }
    connections.set(session, connection)
  }
  return connection
}

interface Target {
  readonly stream: ServerHttp2Stream
  readonly request: Readable
  readonly connection: Connection
  readonly socket: AnySocket
}

export function streamSocket (target: Target): AnySocket {
  return new Proxy(target, handler) as unknown as AnySocket
}

const handler: ProxyHandler<Target> = {
  get ({ stream, request, connection, socket }, name) {
    const { values, prototype } = connection
    if (values.has(name)) return values.get(name)
    if (OF_STREAM.has(name)) return bound(stream, name)
    if (name === 'readable') return !stream.destroyed && request.readable
    if (ENDS.has(name)) return bound(stream, 'destroy')
    if (REFUSED.has(name)) {
      throw Object.assign(new Error('HTTP/2 sockets should not be directly manipulated, e.g. read and written'), {
        code: 'ERR_HTTP2_NO_SOCKET_MANIPULATION'
      })
    }
    if (isAlive(stream)) return socket[name as keyof AnySocket]
    // What a method did for a connection that has gone was nothing, over HTTP/1.1.
    return typeof Reflect.get(prototype, name, {}) === 'function' ? ignoreCall : undefined
  },

  set ({ stream, socket }, name, value) {
    if (OF_STREAM.has(name)) return Reflect.set(stream, name, value)
    return !isAlive(stream) || Reflect.set(socket, name, value)
  },

  has ({ stream, connection, socket }, name) {
    const { values, prototype } = connection
    return values.has(name) || name in stream || Reflect.has(isAlive(stream) ? socket : prototype, name)
  },

  getPrototypeOf ({ connection }) {
    return connection.prototype
  }
}

function bound (stream: ServerHttp2Stream, name: PropertyKey): unknown {
  const value: unknown = stream[name as keyof ServerHttp2Stream]
  return typeof value === 'function' ? value.bind(stream) : value
}

function ignoreCall (): void {}
