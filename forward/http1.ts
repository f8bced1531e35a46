/** Requests over HTTP/1.1, on connections that are kept and used again. */
import { Agent, request as httpRequest } from 'node:http'
import type { AgentOptions, ClientRequestArgs, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ExchangeConnection } from '../types/forward'
import { proxyAuthorization } from '../net/via'
import { FST_PROX_UPSTREAM_TIMEOUT } from '../plugin/errors'
import type { Connected, Route } from './connector'
import { valuesOf } from './fields'
import { hasNoContent, upstreamError } from './upstream'
import type { Call, Upstream, UpstreamResponse } from './upstream'

/** How long a connection is kept without a request, in milliseconds: less than servers keep theirs, as a rule. */
const KEEP_ALIVE = 4_000

/** Methods whose requests have a length even without content (RFC 9110 8.6). */
const WITHOUT_CONTENT = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

type Options = ClientRequestArgs & { route: Route }

export class Http1Agent extends Agent {
  readonly #connect: (route: Route) => Promise<Connected>
  readonly #infos = new WeakMap<object, Connected['info']>()
  readonly #used = new WeakSet<object>()

  constructor (connect: (route: Route) => Promise<Connected>) {
    super({ keepAlive: true, timeout: KEEP_ALIVE } satisfies AgentOptions)
    this.#connect = connect
  }

  override getName (options?: object): string {
    return (options as Options).route.key
  }

  override createConnection (options: object, callback?: (err: Error | null, socket: Duplex) => void): undefined {
    this.#connect((options as Options).route).then(({ socket, info }) => {
      this.#infos.set(socket, info)
      callback!(null, socket)
    }, (err) => callback!(err as Error, undefined as unknown as Duplex))
  }

  /** What is known of a connection, on its way to a request. */
  connectionOf (socket: Socket): ExchangeConnection {
    const info = this.#infos.get(socket)!
    if (!this.#used.has(socket)) {
      this.#used.add(socket)
      return { ...info, reused: false }
    }
    return { ...info, reused: true, timings: { resolve: 0, connect: 0, secure: 0 } }
  }
}

export function sendHttp1 (agent: Http1Agent, route: Route, call: Call): Upstream {
  const { target, absoluteForm } = route
  const { method, body, observer } = call
  const rawHeaders = fieldsOf(route, call)
  const options: Options = {
    agent,
    route,
    method,
    path: absoluteForm ? `http://${target.authority}${target.path}` : target.path,
    headers: rawHeaders as unknown as ClientRequestArgs['headers'],
    timeout: call.headersTimeout
  }
  const request = httpRequest(options)
  const response = new Promise<UpstreamResponse>((resolve, reject) => {
    const fail = (err: Error): void => reject(upstreamError(target.authority, err))
    request.on('error', fail)
    request.on('socket', (socket) => {
      // A limit that is the agent's own, by chance, is left by it to who makes the connection.
      if (socket.timeout !== call.headersTimeout) socket.setTimeout(call.headersTimeout)
      observer.begun({ method, httpVersion: '1.1', rawHeaders }, agent.connectionOf(socket))
      // Not before there is a connection: a request that cannot be sent leaves its content where it is.
      if (body === null) return
      body.on('end', () => {
        const trailers = call.trailers()
        if (trailers.length > 0) request.addTrailers(pairs(trailers) as unknown as Array<[string, string]>)
        request.end()
      })
      body.pipe(request, { end: false })
    })
    request.on('finish', () => observer.sent())
    request.on('information', ({ httpVersion, statusCode, statusMessage, rawHeaders }) => {
      call.informational({ httpVersion, statusCode, statusMessage, rawHeaders })
    })
    request.on('timeout', () => {
      // A client that is slow to send its content is no fault of the host's.
      if (body !== null && !request.writableEnded && !request.writableNeedDrain) return
      request.destroy(new FST_PROX_UPSTREAM_TIMEOUT(target.authority, 'response head'))
    })
    request.on('response', (incoming) => {
      // Where nobody reads it, since the client has left, it fails all the same.
      incoming.on('error', () => {})
      request.removeAllListeners('timeout')
      request.setTimeout(call.bodyTimeout)
      request.on('timeout', () => {
        // One that is not read, since the client is slow, is none either.
        if (incoming.isPaused() || incoming.readableLength > 0) return
        incoming.destroy(new FST_PROX_UPSTREAM_TIMEOUT(target.authority, 'response body'))
      })
      const coding = valuesOf(incoming.rawHeaders, 'transfer-encoding').join(', ')
      if (coding !== '' && coding.toLowerCase() !== 'chunked') {
        request.destroy()
        return reject(upstreamError(target.authority, new Error(`its transfer coding is ${coding}`)))
      }
      resolve(responseOf(method, incoming))
    })
    request.on('upgrade', (_response, socket) => {
      socket.destroy()
      fail(new Error('it answers 101 to a request without Upgrade'))
    })
    request.on('close', () => {
      if (body === null) return
      // What the host did not wait for is read to its end by Node's server.
      body.unpipe(request)
      body.resume()
      fail(new Error('the connection was closed'))
    })
  })
  if (body === null) request.end()
  return { response, abort: () => { request.destroy() } }
}

function responseOf (method: string, incoming: IncomingMessage): UpstreamResponse {
  const statusCode = incoming.statusCode!
  return {
    httpVersion: incoming.httpVersion,
    statusCode,
    statusMessage: incoming.statusMessage!,
    rawHeaders: incoming.rawHeaders,
    body: incoming,
    bodiless: hasNoContent(method, statusCode),
    rawTrailers: () => incoming.rawTrailers
  }
}

/** The fields as they are written: `Host` first, then those that go on, then those of this hop. */
function fieldsOf ({ target, proxy, absoluteForm }: Route, { method, fields, body, acceptsTrailers }: Call): string[] {
  const written = ['Host', target.authority, ...fields]
  if (body !== null) {
    if (valuesOf(fields, 'content-length').length === 0) written.push('Transfer-Encoding', 'chunked')
  } else if (!WITHOUT_CONTENT.has(method) && valuesOf(fields, 'content-length').length === 0) {
    written.push('Content-Length', '0')
  }
  const credentials = absoluteForm ? proxyAuthorization(proxy!) : null
  if (credentials !== null) written.push('Proxy-Authorization', credentials)
  if (acceptsTrailers) written.push('TE', 'trailers', 'Connection', 'TE, keep-alive')
  else written.push('Connection', 'keep-alive')
  return written
}

export function pairs (list: readonly string[]): Array<[name: string, value: string]> {
  return Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i]!, list[2 * i + 1]!])
}
