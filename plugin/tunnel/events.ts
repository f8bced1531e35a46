/** The events of tunnels: channels of `node:diagnostics_channel`. Their messages are in types/events.ts. */
import { channel } from 'node:diagnostics_channel'

/** A CONNECT was answered with 200: `TunnelEvent`. */
export const tunnelOpened = channel('fastify-prox:tunnel:opened')
/** A CONNECT was refused: `TunnelRefused`. */
export const tunnelRefused = channel('fastify-prox:tunnel:refused')
/** A TLS handshake ended well: `TunnelIntercepted`. */
export const tunnelIntercepted = channel('fastify-prox:tunnel:intercepted')
/** A tunnel ended, however it did: `TunnelClosed`. */
export const tunnelClosed = channel('fastify-prox:tunnel:closed')
/** A TLS handshake failed: `HandshakeFailed`. */
export const handshakeFailed = channel('fastify-prox:handshake:failed')
