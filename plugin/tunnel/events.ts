/** What happens to tunnels, for programs: channels of `node:diagnostics_channel`, and the messages they carry. */
import { channel } from 'node:diagnostics_channel'

export interface TunnelEvent {
  /** The id of the CONNECT request. */
  readonly id: string
  /** `host:port` of the CONNECT. */
  readonly authority: string
  readonly remoteAddress: string | undefined
}

export interface TunnelIntercepted extends TunnelEvent {
  readonly servername: string | null
  readonly alpn: string | null
  readonly tlsVersion: string | null
  /** Whether the client resumed a TLS session. */
  readonly resumed: boolean
}

export interface TunnelClosed extends TunnelEvent {
  /** Why, in words; what the log line says too. */
  readonly reason: string
  readonly requests: number
  /** Bytes from the client, as they were on the wire, the CONNECT included. */
  readonly bytesRead: number
  /** Bytes to the client, as they were on the wire. */
  readonly bytesWritten: number
  readonly durationMs: number
}

export interface HandshakeFailed extends TunnelEvent {
  readonly servername: string | null
  /** OpenSSL's or the system's error code, or `LEFT_IN_HANDSHAKE`. */
  readonly code: string
  /** Whether it was our certificate that the client did not accept. */
  readonly refused: boolean
}

/** A CONNECT was answered with 200: `TunnelEvent`. */
export const tunnelOpened = channel('fastify-prox:tunnel:opened')
/** A TLS handshake ended well: `TunnelIntercepted`. */
export const tunnelIntercepted = channel('fastify-prox:tunnel:intercepted')
/** `TunnelClosed` */
export const tunnelClosed = channel('fastify-prox:tunnel:closed')
/** `HandshakeFailed` */
export const handshakeFailed = channel('fastify-prox:handshake:failed')
