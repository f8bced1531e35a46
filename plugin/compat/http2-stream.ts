/**
 * From a stream of HTTP/2 to a request and a response that work as those of HTTP/1.1 do.
 *
 *   const session = http2.performServerHandshake(socket, http2Options(limits))
 *   session.on('stream', (stream, headers, _flags, rawHeaders) => {
 *     const accepted = acceptStream(stream, headers, rawHeaders, limits)
 *     if (accepted !== null) fastify.routing(accepted.request, accepted.response)
 *   })
 *
 * Not documented, and seen in the sources of Node 20, 22, 24 and 26: `rawHeaders`, the fourth argument of 'stream', has
 * the fields as they came (Node documents it for `stream` events of servers since 26). Without it there are none.
 */
import { maxHeaderSize as defaultMaxHeaderSize } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream, ServerOptions, Settings } from 'node:http2'
import { keepMembers } from './http2-members'
import { Http2Request } from './http2-request'
import { Http2Response } from './http2-response'
import { ignore, isAlive } from './http2-state'

export interface Http2Limits {
  /** Octets of all names and values, as in `http.createServer`. Default: Node's `http.maxHeaderSize`. */
  readonly maxHeaderSize?: number
  /** Fields, as in `http.Server`; 0: no limit. Default: 2,000. */
  readonly maxHeadersCount?: number | null
  /** Whether Express is to get the requests (http2-members). Default: false. */
  readonly express?: boolean
}

export interface Accepted {
  readonly request: Http2Request
  readonly response: Http2Response
}

/** How far beyond the limits a request may be to be answered with 431; Node resets the stream of one beyond that. */
const TOLERANCE = 4

/** What HTTP/2 counts for a field beside its name and value (RFC 9113 6.5.2). */
const FIELD_OVERHEAD = 32

/** `:path` as Node's HTTP/1.1 parser takes it, without fragment (RFC 9113 8.3.1): ASCII without controls and spaces. */
const PATH = /^\/[\x21\x22\x24-\x7e]*$/

/** As Node's HTTP/1.1 server tells it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i

/** Options of `http2.createServer` and `performServerHandshake` by which HTTP/2 has the limits of HTTP/1.1. */
export function http2Options (limits: Http2Limits, settings: Settings = {}): ServerOptions {
  const { size, count } = limitsOf(limits)
  const pairs = TOLERANCE * Math.min(count, size)
  return {
    maxHeaderListPairs: pairs,
    // Responses are measured before they are sent (http2-size).
    maxSendHeaderBlockLength: 2 ** 20,
    settings: {
      enableConnectProtocol: false, maxHeaderListSize: TOLERANCE * size + FIELD_OVERHEAD * pairs, ...settings
    }
  }
}

/**
 * The request and the response of a stream, to be called first when it is announced.
 * @returns `null` when the client has gone, or has had its answer: 431 above the limits, 400 for a `:path` that
 * HTTP/1.1 would refuse, 417 for an expectation that nobody meets
 */
export function acceptStream (
  stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[], limits: Http2Limits
): Accepted | null {
  const refusal = refusalOf(headers, rawHeaders, limits)
  if (refusal !== 0 || !isAlive(stream)) {
    refuseStream(stream, refusal)
    return null
  }
  const request = new Http2Request(stream, headers, {}, rawHeaders)
  const response = new Http2Response(stream)
  if (limits.express) keepMembers(request, response)
  if (headers.expect !== undefined) response.writeContinue()
  return { request, response }
}

/** Answers a stream with a status and no content, if it can still be answered. For CONNECT, too; throws nothing. */
export function refuseStream (stream: ServerHttp2Stream, status: number): void {
  // Node tells of a reset after this, and ends the process if nobody listens.
  stream.on('error', ignore)
  if (isAlive(stream) && !stream.headersSent) {
    stream.respond({ ':status': status, 'content-length': 0 }, { endStream: true })
  }
}

function refusalOf (headers: IncomingHttpHeaders, rawHeaders: string[], limits: Http2Limits): number {
  if (isTooLarge(rawHeaders, limits)) return 431
  const { ':method': method, ':path': path, expect } = headers
  if (method !== 'CONNECT' && !PATH.test(path!) && !(path === '*' && method === 'OPTIONS')) return 400
  return expect === undefined || CONTINUE.test(expect) ? 0 : 417
}

/** Counts as HTTP/1.1 does, where cookies are one field. */
function isTooLarge (rawHeaders: string[], limits: Http2Limits): boolean {
  const { size, count } = limitsOf(limits)
  const { length } = rawHeaders
  let octets = 0
  let cookies = 0
  let pseudo = 0
  for (let i = 0; i < length; i += 2) {
    const name = rawHeaders[i]!
    octets += rawHeaders[i + 1]!.length
    if (name[0] !== ':') octets += name.length
    // It is the field Host of HTTP/1.1.
    else if (name !== ':authority') pseudo++
    if (name === 'cookie') cookies++
  }
  return octets > size || length / 2 - pseudo - Math.max(0, cookies - 1) > count
}

function limitsOf ({ maxHeaderSize, maxHeadersCount }: Http2Limits): { size: number, count: number } {
  return {
    size: maxHeaderSize ?? defaultMaxHeaderSize,
    count: maxHeadersCount === 0 ? Infinity : maxHeadersCount ?? 2_000
  }
}
