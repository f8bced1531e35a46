/** WebSocket routes of Fastify: dials in a hook, before `@fastify/websocket` accepts, and joins in the handler. */
import type { FastifyInstance, FastifyRequest, preHandlerHookHandler } from 'fastify'
import type { WebSocket } from 'ws'
import type { ForwardSocketOptions } from '../types/forward'
import type { Forwarding } from './forward'
import type { Dialled } from './socket'
import { dialLate, dialSocket, refuse, socketOptions, SocketRefused } from './socket'

/** Sockets that wait for their client to be accepted. */
const waiting = new WeakMap<object, Dialled>()

/** Adds the hook to WebSocket routes that say `config: { forward }`. */
export function dialFirst (fastify: FastifyInstance, forwardingIn: (fastify: FastifyInstance) => Forwarding): void {
  fastify.addHook('onRoute', function (this: FastifyInstance, route) {
    // Known to TypeScript when @fastify/websocket is, which is optional.
    const { websocket, wsHandler } = route as { websocket?: unknown, wsHandler?: unknown }
    const { forward = false } = route.config ?? {}
    if (!(websocket || wsHandler) || forward === false) return
    const dialHook: preHandlerHookHandler = async (request, reply) => {
      // A plain request to the same route.
      if ((request as { ws?: boolean }).ws !== true) return
      const forwarding = forwardingIn(this)
      try {
        const dialled = await dialSocket(forwarding, request, await socketOptions(forward, request))
        waitForClient(request, dialled)
      } catch (err) {
        if (!(err instanceof SocketRefused)) throw err
        refuse(reply, err.response, forwarding.pseudonym)
        return reply
      }
    }
    // Last: those before it may still refuse the client.
    route.preHandler = [...[route.preHandler ?? []].flat() as preHandlerHookHandler[], dialHook]
  })
}

function waitForClient ({ raw }: FastifyRequest, dialled: Dialled): void {
  const { headers, socket } = raw
  // The client gets the subprotocol that the host has chosen, or none.
  if (dialled.protocol === '') delete headers['sec-websocket-protocol']
  else headers['sec-websocket-protocol'] = dialled.protocol
  waiting.set(raw, dialled)
  const abandon = (): void => {
    if (!waiting.delete(raw)) return
    dialled.abandon()
  }
  if (socket.destroyed) abandon()
  else socket.once('close', abandon)
}

export function forwardSocket (
  forwarding: Forwarding, request: FastifyRequest, client: WebSocket, options: ForwardSocketOptions
): void {
  const dialled = waiting.get(request.raw)
  waiting.delete(request.raw)
  if (dialled !== undefined) dialled.join(client)
  else dialLate(forwarding, client, request, options)
}
