/** Sends the response of an upstream host as the reply of a route: hooks and other plugins see it as any other. */
import { constants } from 'node:http2'
import type { Http2ServerResponse } from 'node:http2'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ExchangeResponse, ForwardResponse } from '../types/forward'
import { pairs } from './http1'

/** What the types of Node leave out. */
interface Http2Trailers extends Http2ServerResponse { setTrailer (name: string, value: string): void }

type RawResponse = ServerResponse | Http2ServerResponse

/** Fields that speak of the content byte by byte: wrong for any other content. */
export const OF_THE_BYTES = [
  'content-length', 'etag', 'accept-ranges', 'content-md5', 'content-digest', 'repr-digest', 'digest'
]

/**
 * @param names how the host spelt the fields: `content-type` to `Content-Type`
 * @param bodiless whether the head is all there is
 * @param trailers asked for when the body has ended
 */
export function respond (
  reply: FastifyReply,
  { statusCode, headers, body }: ForwardResponse,
  names: ReadonlyMap<string, string>,
  bodiless: boolean,
  trailers: () => readonly string[]
): void {
  const raw = reply.raw as RawResponse
  reply.code(statusCode)
  for (const [name, value] of Object.entries(headers)) reply.header(name, value)
  spell(raw, names, bodiless)
  if (bodiless || body === null) {
    reply.send()
    return
  }
  if (typeof body === 'object' && 'pipe' in body) {
    // Before Fastify's own listener, which ends the response.
    body.once('end', () => addTrailers(raw, trailers()))
    body.once('error', () => cutShort(raw))
    // Streams of events, gRPC: a client may wait for the head before it does anything. What is there of the body goes
    // with it, in one write.
    raw.once('pipe', () => setImmediate(flushHead, raw as ServerResponse))
  }
  reply.send(body)
}

/** How the fields of a response are spelt, and what writes them. */
interface Spelling {
  readonly names: ReadonlyMap<string, string>
  readonly http2: boolean
  readonly setHeader: SetHeader
  readonly writeHead: WriteHead
}

type SetHeader = (name: string, value: number | string | string[]) => object
type WriteHead = (statusCode: number, headers?: Record<string, string>, ...rest: unknown[]) => object

const kSpelling = Symbol('fastify-prox.spelling')

/** A response, as far as its head is concerned. */
interface SpeltResponse {
  statusCode: number
  setHeader: SetHeader
  writeHead: WriteHead
  [kSpelling]: Spelling
}

/**
 * Writes fields as the host spelt them; Fastify has them in lower case. The methods are the same for all responses: V8
 * keeps a function that was made for one, with all that it refers to, until it collects the old space (Node 26).
 */
function spell (raw: RawResponse, names: ReadonlyMap<string, string>, bodiless: boolean): void {
  const http2 = isHttp2(raw)
  if (http2 && !bodiless) return
  const response = raw as unknown as SpeltResponse
  const { setHeader, writeHead } = response
  response[kSpelling] = { names, http2, setHeader, writeHead }
  response.setHeader = setSpeltHeader
  response.writeHead = writeSpeltHead
}

function setSpeltHeader (this: SpeltResponse, name: string, value: number | string | string[]): object {
  const { names, http2, setHeader } = this[kSpelling]
  return setHeader.call(this, http2 ? name : names.get(name) ?? name, value)
}

function writeSpeltHead (
  this: SpeltResponse, statusCode: number, headers?: Record<string, string>, ...rest: unknown[]
): object {
  const { http2, writeHead } = this[kSpelling]
  // Node calls it too, for a head that nobody has written, without fields.
  if (headers === undefined || rest.length > 0) return writeHead.call(this, statusCode, headers, ...rest)
  for (const [name, value] of Object.entries(headers)) this.setHeader(name, value)
  this.statusCode = statusCode
  // A head that ends its stream is sent with end(): "trailers only" of gRPC.
  return http2 ? this : writeHead.call(this, statusCode)
}

function flushHead (raw: ServerResponse): void {
  if (raw.headersSent || raw.destroyed) return
  // Over HTTP/1.1, flushHeaders() would write the fields as UTF-8; Latin-1 is what they came as.
  if (isHttp2(raw)) raw.flushHeaders()
  else raw.write('', 'latin1')
}

function addTrailers (raw: RawResponse, trailers: readonly string[]): void {
  if (trailers.length === 0 || raw.writableEnded) return
  if (isHttp2(raw)) for (const [name, value] of pairs(trailers)) (raw as Http2Trailers).setTrailer(name, value)
  else raw.addTrailers(pairs(trailers) as unknown as Array<[string, string]>)
}

/** Has a client of HTTP/2 see that a response was cut short: destroying the stream would say that all is well. */
function cutShort (raw: RawResponse): void {
  if (isHttp2(raw) && raw.headersSent) raw.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}

/** Hands on a 103 and its like (RFC 9110 15.2). */
export function sendInformational (
  raw: RawResponse, { statusCode }: ExchangeResponse, headers: Record<string, string | string[]>
): void {
  if (raw.headersSent || raw.destroyed) return
  if (isHttp2(raw)) {
    if (!raw.stream.destroyed) raw.stream.additionalHeaders({ ...headers, ':status': statusCode })
  } else if (statusCode === 103 && headers.link !== undefined && typeof raw.writeEarlyHints === 'function') {
    raw.writeEarlyHints(headers)
  } else if (statusCode === 102) {
    raw.writeProcessing()
  }
}

/** HTTP/1.0 has no informational responses. */
export function isHttp2 (raw: RawResponse): raw is Http2ServerResponse {
  return 'stream' in raw
}
