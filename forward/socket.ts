/** WebSockets: the upstream host is dialled first, and what it answers decides whether the client is accepted. */
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { WebSocket } from 'ws'
import type { ExchangeAnswerer, ExchangeResponse, ForwardConfig, ForwardSocketOptions } from '../types/forward'
import { FST_PROX_LOOP, FST_PROX_UPSTREAM_TIMEOUT } from '../plugin/errors'
import { askAnswerers, isSocketAnswer, responseOf } from './answer'
import { routeTo } from './connector'
import { applyHeaders, endToEnd, group, hasPassed, valuesOf } from './fields'
import type { Forwarding } from './forward'
import { targetOf } from './forward'
import { Recorder } from './recorder'
import { respond } from './respond'
import type { Target } from './target'
import { upstreamError } from './upstream'

/** A socket to the upstream host, open and paused until the client's is there; or somebody in its place. */
export interface Dialled {
  /** The subprotocol that the host chose; `''`: none. */
  readonly protocol: string
  readonly join: (client: WebSocket) => void
  /** The client will not come. */
  readonly abandon: () => void
}

type Refusal = ExchangeResponse & { readonly body: Readable }

/** The answer of a host that does not accept. */
export class SocketRefused extends Error {
  readonly response: Refusal

  constructor (response: Refusal) {
    super(`the host answers ${response.statusCode}`)
    this.response = response
  }
}

/** Of the handshake, which is one of each hop; extensions too, since each side compresses for itself (RFC 7692). */
const OF_THE_HANDSHAKE = new Set([
  'host', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-extensions', 'sec-websocket-protocol',
  'content-length'
])

/** Bytes that wait to be sent to one side before the other is read no further. */
const HIGH_WATER_MARK = 1024 * 1024

/** Codes that stand for closes without one, and are never sent (RFC 6455 7.4.1). */
const NEVER_SENT = new Set([1004, 1005, 1006, 1015])

/** Bad Gateway, among the codes of WebSocket (IANA). */
const BAD_GATEWAY = 1014

/** @throws SocketRefused, and what `reply.forward()` fails with */
export async function dialSocket (
  forwarding: Forwarding, request: FastifyRequest, { url, headers }: ForwardSocketOptions
): Promise<Dialled> {
  const { chooseProxy, connector, pseudonym, listeners, answerers, headersTimeout } = forwarding
  const { raw } = request
  const target = targetOf(request, { url })
  if (hasPassed(raw.rawHeaders, pseudonym)) throw new FST_PROX_LOOP(target.url)
  let fields = endToEnd(raw.rawHeaders, OF_THE_HANDSHAKE)
  if (headers !== undefined) fields = applyHeaders(fields, headers)
  fields.push('Via', `${raw.httpVersion} ${pseudonym}`)
  const answered = await answeredSocket(answerers, target, fields, request)
  if (answered !== null) return answered
  const recorder = new Recorder(request, target, listeners, true)
  const sent = recorder.requestHeaders(fields)
  try {
    const route = routeTo(target, chooseProxy === null ? null : await chooseProxy(target), true)
    const { socket, info } = await connector.connect(route, ['http/1.1'])
    const offered = valuesOf(raw.rawHeaders, 'sec-websocket-protocol').join(',').split(',').map((name) => name.trim())
    const protocols = [...new Set(offered.filter((name) => name !== ''))]
    const upstream = new WebSocket(`ws://${target.authority}/`, protocols, {
      // Its time limit is that of the socket, which ws sets for those that it opens itself alone, and lifts for all.
      createConnection: () => socket.setTimeout(headersTimeout) as never,
      headers: { ...group(sent), Host: target.authority },
      perMessageDeflate: true,
      handshakeTimeout: headersTimeout === 0 ? undefined : headersTimeout,
      // ws knows the URL in the form of the URL class alone.
      finishRequest: (handshake: ClientRequest) => {
        handshake.path = target.path
        recorder.begun({ method: 'GET', httpVersion: '1.1', rawHeaders: rawOf(handshake) }, { ...info, reused: false })
        handshake.end()
      }
    })
    const protocol = await opened(upstream, recorder, target.authority, protocols)
    return {
      protocol,
      join: (client) => join(client, upstream, recorder),
      abandon: () => {
        recorder.end(new Error('the client left'))
        upstream.terminate()
      }
    }
  } catch (err) {
    recorder.end(err as Error)
    throw err
  }
}

/** Somebody who replays, in place of the host. */
async function answeredSocket (
  answerers: readonly ExchangeAnswerer[], target: Target, fields: readonly string[], request: FastifyRequest
): Promise<Dialled | null> {
  const { method } = request
  const rawHeaders = ['Host', target.authority, ...fields]
  const readBody = async (): Promise<Buffer> => Buffer.alloc(0)
  const answered = await askAnswerers(
    answerers, { request, url: target.url, method, webSocket: true, rawHeaders, readBody })
  if (answered === null) return null
  if (!isSocketAnswer(answered)) throw new SocketRefused(responseOf(method, answered))
  return { protocol: answered.protocol, join: answered.socket, abandon: () => {} }
}

async function opened (
  upstream: WebSocket, recorder: Recorder, authority: string, protocols: readonly string[]
): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    let none = false
    upstream.on('upgrade', (response) => {
      recorder.response(headOf(response))
      none = response.headers['sec-websocket-protocol'] === undefined
      // ws takes that for an error (RFC 6455 does not); here it is the client's to judge.
      if (none && protocols.length > 0) response.headers['sec-websocket-protocol'] = protocols[0]
    })
    upstream.on('open', () => {
      // What the host says at once waits for the client.
      upstream.pause()
      resolve(none ? '' : upstream.protocol)
    })
    upstream.on('unexpected-response', (request, response) => {
      recorder.response(headOf(response))
      response.once('close', () => request.destroy())
      reject(new SocketRefused({ ...headOf(response), body: response }))
    })
    upstream.on('error', (err) => reject(/handshake has timed out/.test(err.message)
      ? new FST_PROX_UPSTREAM_TIMEOUT(authority, 'WebSocket handshake')
      : upstreamError(authority, err)))
  })
}

/** What a route says of the socket that is to be dialled for it. */
export async function socketOptions (config: ForwardConfig, request: FastifyRequest): Promise<ForwardSocketOptions> {
  if (typeof config === 'function') return await config(request)
  return typeof config === 'object' ? config : {}
}

/** Hands the answer of a host that refuses a WebSocket to the client, as it is. */
export function refuse (reply: FastifyReply, response: Refusal, pseudonym: string): void {
  const fields = endToEnd(response.rawHeaders)
  fields.push('Via', `${response.httpVersion} ${pseudonym}`)
  const names = new Map<string, string>()
  for (let i = fields.length - 2; i >= 0; i -= 2) names.set(fields[i]!.toLowerCase(), fields[i]!)
  const { httpVersion, statusCode, statusMessage, body } = response
  reply.raw.statusMessage = statusMessage
  const answer = { statusCode, headers: group(fields), body, decoded: false, httpVersion }
  respond(reply, answer, names, statusCode === 204, () => [])
}

/** Joins the two sides: messages, pings and closes of one go to the other, at the pace of the slower. */
function join (client: WebSocket, upstream: WebSocket, recorder: Recorder): void {
  relay(client, upstream, 'client', recorder)
  relay(upstream, client, 'server', recorder)
  for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
    from.on('error', () => to.terminate())
    from.on('close', (code, reason) => {
      const side = from === client ? 'client' : 'host'
      recorder.end(code === 1006 ? new Error(`the connection of the ${side} broke`) : null)
      if (code === 1006) to.terminate()
      else if (NEVER_SENT.has(code)) to.close()
      else to.close(code, reason)
    })
  }
  upstream.resume()
  // What has closed while nobody was listening.
  if (client.readyState >= WebSocket.CLOSING) upstream.close()
}

function relay (from: WebSocket, to: WebSocket, side: 'client' | 'server', recorder: Recorder): void {
  let holds = 0
  const hold = (): void => { if (holds++ === 0) from.pause() }
  const release = (): void => { if (--holds === 0) from.resume() }
  from.on('message', (data: Buffer, binary: boolean) => {
    const recorded = recorder.message(side, data, binary)
    if (recorded !== undefined) {
      hold()
      recorded.then(release)
    }
    if (to.readyState !== WebSocket.OPEN) return
    let full = false
    to.send(data, { binary }, () => { if (full) release() })
    full = to.bufferedAmount >= HIGH_WATER_MARK
    if (full) hold()
  })
  from.on('ping', (data) => { if (to.readyState === WebSocket.OPEN) to.ping(data) })
}

/** Dials when the client has been accepted already: all that is left of a refusal is a close code. */
export async function dialLate (
  forwarding: Forwarding, client: WebSocket, request: FastifyRequest, options: ForwardSocketOptions
): Promise<void> {
  client.pause()
  let dialled: Dialled
  try {
    dialled = await dialSocket(forwarding, request, options)
  } catch (err) {
    client.resume()
    client.close(BAD_GATEWAY, String((err as Error).message).slice(0, 100))
    if (err instanceof SocketRefused) err.response.body.resume()
    request.log.warn({ err }, 'fastify-prox: a WebSocket was accepted before its host refused it. ' +
      'Add config: { forward: true } to the route, so that the host is asked first')
    return
  }
  dialled.join(client)
  client.resume()
}

function headOf ({ httpVersion, statusCode, statusMessage, rawHeaders }: IncomingMessage) {
  return { httpVersion, statusCode: statusCode!, statusMessage: statusMessage!, rawHeaders }
}

function rawOf (handshake: ClientRequest): string[] {
  return handshake.getRawHeaderNames().flatMap((name) =>
    [handshake.getHeader(name)].flat().flatMap((value) => [name, String(value)]))
}
