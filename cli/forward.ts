/** Forwards what the application has no route for. */
import type websocket from '@fastify/websocket'
import type { FastifyInstance, RouteOptions } from 'fastify'
import forward from '../forward/index'
import type { AllowAddresses } from '../types/net'

const EVERYTHING = '/*'

/**
 * Adds a route for every URL and method that has none; WebSockets too, where `@fastify/websocket` is installed.
 * @param setup is called when the forwarder is there
 */
export async function forwardTheRest (
  app: FastifyInstance, allow: AllowAddresses, setup: () => Promise<void>
): Promise<void> {
  const plugin = app.server.listenerCount('upgrade') === 0 ? loadWebSocket() : null
  if (plugin !== null) await app.register(plugin)
  await app.register(forward, { allow, via: 'env' })
  await setup()
  for (const method of app.supportedMethods) {
    if (app.hasRoute({ method, url: EVERYTHING })) continue
    const route: RouteOptions = { method, url: EVERYTHING, handler: (_request, reply) => reply.forward() }
    if (method === 'GET' && plugin !== null) {
      route.config = { forward: true }
      route.wsHandler = (socket, request) => request.forwardSocket(socket)
    }
    app.route(route)
  }
}

function loadWebSocket (): typeof websocket | null {
  try {
    return require('@fastify/websocket')
  } catch {
    // Optional.
    return null
  }
}
