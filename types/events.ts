/** The messages of the `node:diagnostics_channel` channels of the plugin. */

/** What every event of a tunnel tells. */
export interface TunnelEvent {
  /** The id of the CONNECT request. */
  readonly id: string
  /** `host:port` of the CONNECT. */
  readonly authority: string
  /** The client's address; `undefined` on a unix socket. */
  readonly remoteAddress: string | undefined
}

/** The message of `fastify-prox:tunnel:opened`: a CONNECT is answered with 200. */
export interface TunnelOpened extends TunnelEvent {
  /** Whether the policy has answered `pass()`. */
  readonly passed: boolean
}

/** The message of `fastify-prox:tunnel:refused`: a CONNECT is answered, and opens no tunnel. */
export interface TunnelRefused extends TunnelEvent {
  readonly statusCode: number
  /** Of the error that was answered, `FST_PROX_…` or the application's own; `null`: a hook has answered. */
  readonly code: string | null
}

/** The message of `fastify-prox:tunnel:intercepted`: a TLS handshake ended well. */
export interface TunnelIntercepted extends TunnelEvent {
  /** The TLS server name (RFC 6066 3) that the client sent, or `null`. */
  readonly servername: string | null
  /** What ALPN chose (RFC 7301), or `null`. */
  readonly alpn: string | null
  /** `'TLSv1.3'`, say. */
  readonly tlsVersion: string | null
  /** Whether the client resumed a TLS session. */
  readonly resumed: boolean
}

/**
 * Why a tunnel ended. Beside these there are the codes of failed handshakes (`HandshakeFailed`), and those of the
 * operating system for a connection that broke, `'ECONNRESET'` say.
 */
export type TunnelCloseCode =
  | 'CLIENT_CLOSED' // the client ended the connection
  | 'CLIENT_GONE' // the client reset the connection while it was being answered
  | 'CLOSED_BEFORE_FIRST_BYTE' // the client ended the connection before it said what it wants
  | 'FIRST_BYTE_TIMEOUT' // `timeouts.firstByte`
  | 'HANDSHAKE_TIMEOUT' // `timeouts.handshake`
  | 'IDLE_TIMEOUT' // `timeouts.idle`, or `timeouts.passIdle`
  | 'CONNECTION_TIMEOUT' // Fastify's `connectionTimeout`
  | 'CLIENT_UNRESPONSIVE' // an HTTP/2 client acknowledged no SETTINGS
  | 'PROTOCOL_UNKNOWN' // neither TLS nor HTTP
  | 'HTTP2_DISABLED' // HTTP/2 with the option `http2: false`
  | 'UPSTREAM_CLOSED' // the host that the tunnel was passed through to ended the connection
  | 'UPSTREAM_FAILED' // the connection to that host broke
  | 'PROXY_CLOSED' // `fastify.close()`

/** The message of `fastify-prox:tunnel:closed`. */
export interface TunnelClosed extends TunnelEvent {
  /** Whether the tunnel was passed through. */
  readonly passed: boolean
  /** Why, for programs. */
  readonly code: TunnelCloseCode | (string & {})
  /** Why, in words; what the log line says too. */
  readonly reason: string
  readonly requests: number
  /** Bytes from the client, as they were on the wire, the CONNECT included. */
  readonly bytesRead: number
  /** Bytes to the client, as they were on the wire. */
  readonly bytesWritten: number
  readonly durationMs: number
}

/** The message of `fastify-prox:handshake:failed`. */
export interface HandshakeFailed extends TunnelEvent {
  readonly servername: string | null
  /**
   * OpenSSL's or the operating system's code; `LEFT_IN_HANDSHAKE` or `LEFT_AFTER_HANDSHAKE` for a client that left
   * without an alert, as one does that does not trust the CA; or the `FST_PROX_…` code for which there was no
   * certificate.
   */
  readonly code: string
  /** Whether it was the certificate that the client did not accept. */
  readonly refused: boolean
  /** What can be done about that; `null` if it was something else. */
  readonly advice: string | null
}
