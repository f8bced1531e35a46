/** `har.replay(file)`: a proxy app that answers every request of a HAR file. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import '../types/fastify'
import type { ExchangeAnswer, ExchangeSocketAnswer } from '../types/forward'
import type { HarReplayOptions } from '../types/har'
import { readContent } from '../net/content'
import { checkReplayOptions } from './options'
import { openLibrary, replay } from './replay'

/** What the preHandler has found for WebSockets, before the client is accepted. */
const found = new WeakMap<object, ExchangeSocketAnswer>()

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION; FST_PROX_HAR_UNREADABLE when the app is loaded */
export function replayApp (file: string, options: HarReplayOptions = {}): FastifyPluginAsync {
  checkReplayOptions(file, options)
  return async (app) => {
    const library = await openLibrary(file, options)
    // Registered before, or else upgrades are answered as plain requests.
    const sockets = app.hasDecorator('websocketServer')
    const isSocket = (request: FastifyRequest): boolean => sockets && (request as { ws?: boolean }).ws === true
    const answer = async (request: FastifyRequest): Promise<ExchangeAnswer | ExchangeSocketAnswer> => {
      const { raw, method, proxy } = request
      const url = proxy?.url ?? `${request.protocol}://${request.host}${request.originalUrl}`
      const webSocket = isSocket(request)
      const readBody = (limit: number): Promise<Buffer> => readContent(raw, limit)
      return await replay(library, { method, url, webSocket, rawHeaders: raw.rawHeaders, readBody })
    }
    const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
      return send(reply, await answer(request) as ExchangeAnswer)
    }
    // Compared as it is: nothing is parsed.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    const methods = app.supportedMethods.filter((method) => method !== 'GET' && method !== 'HEAD')
    app.route({ method: methods, url: '/*', handler })
    // HEAD is recorded for itself.
    app.route({ method: 'HEAD', url: '/*', handler })
    app.route({
      method: 'GET',
      url: '/*',
      exposeHeadRoute: false,
      preHandler: async (request, reply) => {
        if (!isSocket(request)) return
        const answered = await answer(request)
        if (!('socket' in answered)) return send(reply, answered)
        // @fastify/websocket gives the client its choice unless there is but one.
        if (answered.protocol !== '') request.raw.headers['sec-websocket-protocol'] = answered.protocol
        else delete request.raw.headers['sec-websocket-protocol']
        found.set(request.raw, answered)
      },
      handler,
      ...(sockets && {
        wsHandler: (socket: WebSocket, request: FastifyRequest) => found.get(request.raw)!.socket(socket)
      })
    })
  }
}

function send (reply: FastifyReply, { statusCode, statusMessage, rawHeaders, body }: ExchangeAnswer): FastifyReply {
  reply.code(statusCode)
  // In Fastify, those of one name become a list for Set-Cookie alone.
  const headers = new Map<string, string[]>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    headers.set(name, [...headers.get(name) ?? [], rawHeaders[i + 1]!])
  }
  for (const [name, values] of headers) reply.header(name, values.length === 1 ? values[0] : values)
  if (reply.request.raw.httpVersionMajor === 1 && statusMessage) reply.raw.statusMessage = statusMessage
  const none = reply.request.method === 'HEAD' || statusCode === 204 || statusCode === 304
  return reply.send(none ? undefined : body)
}
