/**
 * Puts a listener in the place of those that a server has for an event.
 *
 * Relied on: Node, Fastify, and plugins such as @fastify/websocket, add their listeners of a server's 'connection',
 * 'request', 'stream' and 'upgrade' before `onReady` hooks run, and nobody adds one of them again. Node serves a
 * connection by its listener of 'connection' alone.
 * Seen in: Node 20 to 26, Fastify 5.0 to 5.12, @fastify/websocket 11.
 * Without it: proxied requests reach the router by their path alone, and the PROXY protocol is a bad request.
 */
import type { EventEmitter } from 'node:events'

/**
 * @param replace makes the new listener out of what calls the former ones
 * @returns whether there were any; otherwise nothing has changed
 */
export function takeOver<Args extends unknown[]> (
  server: EventEmitter, event: string, replace: (inherited: (...args: Args) => void) => (...args: Args) => void
): boolean {
  const listeners = server.listeners(event) as Array<(...args: Args) => void>
  const [only] = listeners
  if (only === undefined) return false
  const inherited = listeners.length === 1
    ? (...args: Args) => only.apply(server, args)
    : (...args: Args) => listeners.forEach((listener) => listener.apply(server, args))
  for (const listener of listeners) server.off(event, listener)
  server.on(event, replace(inherited) as (...args: unknown[]) => void)
  return true
}
