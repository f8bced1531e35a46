/** The header fields with which a client asks for a WebSocket (RFC 6455 4.1). */
export const HANDSHAKE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ=='
} as const

/** The same as lines of a request's text, without line ends. */
export const HANDSHAKE_LINES: readonly string[] = Object.entries(HANDSHAKE).map(([name, value]) => `${name}: ${value}`)
