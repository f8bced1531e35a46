/** Why tunnels end. */
import type { TunnelCloseCode } from '../../types/events'

type Level = 'debug' | 'info' | 'warn' | 'error'

/** Why a tunnel ends. */
export interface TunnelEnd {
  /** For programs: one of `TunnelCloseCode`, or the code of an error. */
  readonly code: string
  /** In words, for the log. */
  readonly reason: string
  /** Of the log line. */
  readonly level: Level
  /** Further fields of the log line. */
  readonly detail?: object
}

function end (code: TunnelCloseCode, reason: string, level: Level = 'debug'): TunnelEnd {
  return { code, reason, level }
}

export const CLIENT_CLOSED = end('CLIENT_CLOSED', 'closed by the client')
export const CLIENT_GONE = end('CLIENT_GONE', 'the client reset the connection')
export const CLOSED_BEFORE_FIRST_BYTE =
  end('CLOSED_BEFORE_FIRST_BYTE', 'closed by the client before it said what it wants')
export const FIRST_BYTE_TIMEOUT = end('FIRST_BYTE_TIMEOUT', 'no first bytes in time')
export const HANDSHAKE_TIMEOUT = end('HANDSHAKE_TIMEOUT', 'no TLS handshake in time')
export const IDLE_TIMEOUT = end('IDLE_TIMEOUT', 'idle')
export const CONNECTION_TIMEOUT = end('CONNECTION_TIMEOUT', 'silent for too long')
export const CLIENT_UNRESPONSIVE = end('CLIENT_UNRESPONSIVE', 'SETTINGS were not acknowledged')
export const HTTP2_DISABLED = end('HTTP2_DISABLED', 'HTTP/2 is turned off', 'info')
export const UPSTREAM_CLOSED = end('UPSTREAM_CLOSED', 'closed by the host')
export const PROXY_CLOSED = end('PROXY_CLOSED', 'the proxy closed')

/** The first bytes are neither TLS nor HTTP; the log line shows the first 16 of them. */
export function protocolUnknown (firstBytes: Buffer): TunnelEnd {
  const detail = { firstBytes: firstBytes.toString('hex', 0, 16) }
  return { ...end('PROTOCOL_UNKNOWN', 'neither TLS nor HTTP', 'info'), detail }
}

/** The connection to the host that the tunnel is passed through to broke. */
export function upstreamFailed (err: NodeJS.ErrnoException): TunnelEnd {
  return end('UPSTREAM_FAILED', `the connection to the host broke: ${connectionFailed(err).code}`)
}

/** The connection broke. */
export function connectionFailed (err: NodeJS.ErrnoException): TunnelEnd {
  const code = err.code ?? err.message
  return { code, reason: code, level: 'debug' }
}
