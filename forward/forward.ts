/** `reply.forward()`: the request goes to the host that its URL names, and the answer of the host is the reply. */
import type { Http2ServerRequest } from 'node:http2'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type {
  ExchangeAnswerer, ExchangeListener, ExchangeResponse, ForwardOptions, ForwardResponse, ForwardTarget
} from '../types/forward'
import type { ChooseProxy } from '../net/via'
import { FST_PROX_BODY_PARSED, FST_PROX_LOOP, FST_PROX_NOT_PROXIED } from '../plugin/errors'
import { askAnswerers, BodyOnDemand, isSocketAnswer, responseOf } from './answer'
import { decodable, narrowAcceptEncoding } from '../net/codings'
import { decode } from './decode'
import { routeTo } from './connector'
import type { Connector } from './connector'
import { applyHeaders, endToEnd, group, hasPassed, valuesOf } from './fields'
import { answerLastHop, nextHop } from './max-forwards'
import { Recorder } from './recorder'
import { OF_THE_BYTES, respond, sendInformational } from './respond'
import { parseTarget } from './target'
import type { Target } from './target'
import type { Upstream, UpstreamResponse } from './upstream'
import type { Upstreams } from './upstreams'

export interface Forwarding {
  readonly upstreams: Upstreams
  readonly connector: Connector
  readonly chooseProxy: ChooseProxy<ForwardTarget> | null
  readonly pseudonym: string
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly listeners: readonly ExchangeListener[]
  readonly answerers: readonly ExchangeAnswerer[]
}

const DECODED_LIMIT = 64 * 1024 * 1024

/** Beside those of one hop: `Host` is made of the URL, and Node has answered `Expect` with 100 by now. */
const NOT_SENT = new Set(['host', 'expect'])

/** Forwards, and answers with what comes of it: an error of it, too. */
export function forward (
  forwarding: Forwarding, request: FastifyRequest, reply: FastifyReply, options: ForwardOptions
): void {
  exchange(forwarding, request, reply, options).catch((err: unknown) => {
    if (!reply.sent) reply.send(err)
  })
}

async function exchange (
  forwarding: Forwarding, request: FastifyRequest, reply: FastifyReply, options: ForwardOptions
): Promise<void> {
  const { pseudonym, chooseProxy } = forwarding
  const { raw } = request
  const target = targetOf(request, options)
  if (hasPassed(raw.rawHeaders, pseudonym)) throw new FST_PROX_LOOP(target.url)
  let content = contentOf(request)
  const hop = nextHop(request)
  if (hop === 'last') return answerLastHop(request, reply)
  const fields = fieldsOf(request, options, pseudonym, hop)

  if (forwarding.answerers.length > 0) {
    const body = new BodyOnDemand(content)
    const answered = await answerInPlace(forwarding, target, fields, body, request, reply, options)
    if (answered) return
    content = body.stream
  }

  const recorder = new Recorder(request, target, forwarding.listeners, false)
  const sent = recorder.requestHeaders(fields)
  const informational = (response: ExchangeResponse): void => {
    recorder.informational(response)
    try {
      if (raw.httpVersion !== '1.0') sendInformational(reply.raw, response, group(endToEnd(response.rawHeaders)))
    } catch (err) {
      request.log.debug({ err }, 'an informational response was not handed on')
    }
  }
  let upstream: Upstream | null = null
  let left = false
  reply.raw.once('close', () => {
    left = !reply.raw.writableFinished
    if (left) upstream?.abort()
    if (left) recorder.end(new Error('the client left'))
  })

  try {
    const proxy = chooseProxy === null ? null : await chooseProxy(target)
    const trailers = (): string[] => endToEnd(raw.rawTrailers ?? [])
    const call = {
      method: request.method,
      fields: raw.httpVersionMajor === 2 ? withOneCookie(sent) : sent,
      body: content === null ? null : recorder.requestBody(content, trailers),
      trailers,
      acceptsTrailers: valuesOf(raw.rawHeaders, 'te').some((value) => /(?:^|,)\s*trailers\s*(?:;|,|$)/i.test(value)),
      headersTimeout: forwarding.headersTimeout,
      bodyTimeout: forwarding.bodyTimeout,
      observer: recorder,
      informational
    }
    const route = routeTo(target, proxy)
    const ask = async (): Promise<UpstreamResponse> => {
      upstream = await forwarding.upstreams.send(route, call)
      if (left) upstream.abort()
      return await upstream.response
    }
    const response = await ask().catch(async (err: { refused?: boolean }) => {
      // A stream that was refused was not looked at (RFC 9113 8.7): the one case in which a request is sent again.
      if (err.refused !== true || content !== null || left) throw err
      return await ask()
    })
    if (left) return
    recorder.response(response)
    await answer(response, recorder, pseudonym, request, reply, options)
  } catch (err) {
    recorder.end(err as Error)
    if (upstream !== null) (upstream as Upstream).abort()
    // Nobody is there to be told.
    if (left) return
    throw err
  }
}

/** Has those who replay answer. @returns whether somebody did, or the client has left. */
async function answerInPlace (
  { answerers, pseudonym }: Forwarding,
  target: Target,
  fields: readonly string[],
  body: BodyOnDemand,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ForwardOptions
): Promise<boolean> {
  let left = false
  reply.raw.once('close', () => { left = true })
  const { method } = request
  const rawHeaders = ['Host', target.authority, ...fields]
  const readBody = (limit: number): Promise<Buffer> => body.read(limit)
  try {
    const call = { request, url: target.url, method, webSocket: false, rawHeaders, readBody }
    const answered = await askAnswerers(answerers, call)
    if (left) return true
    if (answered === null || isSocketAnswer(answered)) return false
    const nobody = new Recorder(request, target, [], false)
    await answer(responseOf(method, answered), nobody, pseudonym, request, reply, options)
  } catch (err) {
    if (!left) throw err
  }
  return true
}

async function answer (
  upstream: UpstreamResponse,
  recorder: Recorder,
  pseudonym: string,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ForwardOptions
): Promise<void> {
  const { rawHeaders, statusCode, statusMessage, httpVersion, bodiless } = upstream
  const trailers = (): string[] => endToEnd(upstream.rawTrailers())
  const received = recorder.responseBody(upstream.body, trailers)
  received.on('error', (err) => recorder.end(err))
  received.on('close', () => {
    recorder.end(received.readableEnded ? null : new Error('the response was not read to its end'))
  })

  const fields = endToEnd(rawHeaders)
  fields.push('Via', `${httpVersion === '2' ? '2.0' : httpVersion} ${pseudonym}`)
  const headers = group(fields)
  const names = new Map<string, string>()
  for (let i = fields.length - 2; i >= 0; i -= 2) names.set(fields[i]!.toLowerCase(), fields[i]!)

  let body: Readable = received
  const coding = headers['content-encoding']
  let decoded = coding === undefined
  if (options.decode && coding !== undefined && statusCode !== 206 && !bodiless) {
    const codings = decodable(coding)
    if (codings !== null) {
      const { limit } = options.decode === true ? { limit: DECODED_LIMIT } : options.decode
      body = decode(received, codings, limit)
      for (const name of ['content-encoding', ...OF_THE_BYTES]) delete headers[name]
      decoded = true
    }
  }
  const response: ForwardResponse = { statusCode, headers, body, decoded, httpVersion }
  await options.onResponse?.(response, request, reply)
  const replaced = response.body !== body
  if (replaced) {
    for (const name of OF_THE_BYTES) if (response.headers[name] === headers[name]) delete response.headers[name]
    // What takes the place may read from what was there, now or later; what it leaves is not waited for.
    reply.raw.once('close', () => body.destroy())
  }
  // A message with a length has no trailers (RFC 9112 7.1.2).
  if (headers['content-length'] !== undefined) delete headers.trailer
  if (request.raw.httpVersionMajor === 1) reply.raw.statusMessage = statusMessage
  const empty = bodiless && !replaced
  if (empty) body.resume()
  respond(reply, normalised(response), names, empty, trailers)
}

/** The fields that go on to the host. */
function fieldsOf (
  { raw }: FastifyRequest, { decode, headers }: ForwardOptions, pseudonym: string, hop: string | null
): string[] {
  let fields = endToEnd(raw.rawHeaders, NOT_SENT)
  if (hop !== null) fields = applyHeaders(fields, { 'Max-Forwards': hop })
  if (decode) {
    fields = applyHeaders(fields, { 'accept-encoding': narrowed(fields), range: null, 'if-range': null })
  }
  if (headers !== undefined) fields = applyHeaders(fields, headers)
  fields.push('Via', `${raw.httpVersion} ${pseudonym}`)
  return fields
}

function normalised (response: ForwardResponse): ForwardResponse {
  const { body } = response
  const iterable = typeof body === 'object' && body !== null && !Buffer.isBuffer(body) && !('pipe' in body)
  return iterable ? { ...response, body: Readable.from(body, { objectMode: false }) } : response
}

/** @throws FST_PROX_NOT_PROXIED, FST_PROX_INVALID_URL */
export function targetOf ({ proxy }: FastifyRequest, { url }: Pick<ForwardOptions, 'url'>): Target {
  if (url !== undefined) return parseTarget(String(url))
  if (proxy === null || proxy === undefined) throw new FST_PROX_NOT_PROXIED()
  return parseTarget(proxy.url)
}

/** The content as it comes from the client; `null`: there is none. */
function contentOf (request: FastifyRequest): Readable | null {
  const { raw } = request
  const { stream } = raw as unknown as Partial<Http2ServerRequest>
  const announced = raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0
  if (!announced && stream?.endAfterHeaders !== false) return null
  if (raw.readableDidRead || raw.readableEnded) {
    throw new FST_PROX_BODY_PARSED(request.method, request.routeOptions.url ?? request.url)
  }
  return raw
}

/** Clients of HTTP/2 may send a cookie in several fields; here they become one (RFC 9113 8.2.3). */
function withOneCookie (fields: readonly string[]): readonly string[] {
  const cookies = valuesOf(fields, 'cookie')
  return cookies.length > 1 ? applyHeaders(fields, { cookie: cookies.join('; ') }) : fields
}

function narrowed (fields: readonly string[]): string | null {
  const values = valuesOf(fields, 'accept-encoding')
  return values.length === 0 ? null : narrowAcceptEncoding(values.join(', '))
}
