/**
 * One tunnel from top to bottom: passed through, or first bytes, TLS or none, and the HTTP server that serves its
 * requests.
 */
import { TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'
import type { CertificateAuthority, Leaf } from '../../types/ca'
import type { TunnelIntercepted, TunnelOpened } from '../../types/events'
import type { ProxyTimeouts } from '../../types/options'
import { originOf } from '../http/target'
import {
  CLOSED_BEFORE_FIRST_BYTE, connectionFailed, FIRST_BYTE_TIMEOUT, HANDSHAKE_TIMEOUT, HTTP2_DISABLED, protocolUnknown
} from './endings'
import { tunnelIntercepted, tunnelOpened } from './events'
import { readFirstBytes, readServerName } from './first-bytes'
import { handshake } from './handshake'
import { eventOf } from './outcome'
import type { OutcomeReporter } from './outcome'
import type { PassDialer } from './pass'
import { refuse } from './refuse'
import { passThrough, relayBoth } from './relay'
import type { Tunnel } from './tunnel'
import { Deadline, PeerWatch } from './watchdog'

/** ALPN protocol names in wire format (RFC 7301 3.1), in order of preference. */
const ALPN_HTTP1 = Buffer.from('\x08http/1.1\x08http/1.0', 'latin1')
const ALPN_H2 = Buffer.concat([Buffer.from('\x02h2', 'latin1'), ALPN_HTTP1])

/** Serves the requests that come on a socket. */
export interface RequestServer {
  serve (socket: Socket, tunnel: Tunnel): void
}

/** What every tunnel of a proxy shares. */
export interface InterceptOptions {
  readonly ca: Pick<CertificateAuthority, 'leaf'>
  readonly http1: RequestServer
  /** `null`: HTTP/2 is turned off. */
  readonly http2: RequestServer | null
  readonly reporter: OutcomeReporter
  readonly passDialer: PassDialer
  readonly timeouts: Required<ProxyTimeouts>
  /** Takes a line in the format of `SSLKEYLOGFILE`. */
  readonly keyLog: ((line: Buffer) => void) | null
}

const NO_BYTES = Buffer.alloc(0)

/**
 * Serves what a client sends after its CONNECT was answered with 200. Resolves when requests are being served, bytes
 * are being relayed or the tunnel has been ended; never rejects.
 * @param upstream the socket that the tunnel is passed through to; `null`: the tunnel is intercepted
 * @param head what came right behind the CONNECT
 */
export async function serveTunnel (
  tunnel: Tunnel, upstream: Socket | null, head: Buffer, options: InterceptOptions
): Promise<void> {
  if (tunnelOpened.hasSubscribers) {
    const message: TunnelOpened = { ...eventOf(tunnel), passed: upstream !== null }
    tunnelOpened.publish(message)
  }
  // The limits of the tunnel hold in place of the connection's.
  tunnel.socket.setTimeout(0)
  if (upstream === null) await intercept(tunnel, head, options)
  else if (!await passThrough(tunnel, upstream, head, options)) await intercept(tunnel, NO_BYTES, options)
}

async function intercept (tunnel: Tunnel, head: Buffer, options: InterceptOptions): Promise<void> {
  const { socket, request } = tunnel
  const { http1, http2, timeouts } = options

  tunnel.state = 'sniffing'
  tunnel.watch = new Deadline(tunnel, timeouts.firstByte, FIRST_BYTE_TIMEOUT)
  const first = await readFirstBytes(socket, head, () => {
    tunnel.state = 'handshake'
    tunnel.watch = new Deadline(tunnel, timeouts.handshake, HANDSHAKE_TIMEOUT)
  })
  if (first === null) return tunnel.destroy(socket.destroyed ? tunnel.ending : CLOSED_BEFORE_FIRST_BYTE)
  if (first.protocol === null) return tunnel.destroy(protocolUnknown(first.bytes))
  if (first.protocol === 'h2c' && http2 === null) return tunnel.destroy(HTTP2_DISABLED)
  if (first.protocol !== 'tls') {
    tunnel.origin = originOf('http', request.target.hostname, request.target.port)
    return serve(tunnel, socket, first.protocol === 'h2c' ? http2! : http1)
  }

  const servername = readServerName(tunnel, first.servername)
  const hostname = servername ?? request.target.hostname
  tunnel.servername = servername
  let leaf: Leaf
  try {
    // A name that the policy was not asked about yet gets no certificate before it allows it.
    const isNew = hostname !== request.target.hostname
    const decision = isNew ? await request.authorize(hostname, tunnel.describe()) : null
    if (decision) {
      tunnel.watch = null
      tunnel.state = 'passing'
      const upstream = await options.passDialer.dial(decision, { hostname, port: request.target.port }, socket)
      return upstream === null ? undefined : relayBoth(tunnel, upstream, options)
    }
    leaf = await options.ca.leaf(hostname, () => !socket.destroyed)
  } catch (err) {
    if (socket.destroyed) return
    return refuse(tunnel, err as Error, options.reporter)
  }
  if (socket.destroyed) return
  tunnel.leaf = leaf

  const secured = await handshake(socket, {
    secureContext: leaf.secureContext,
    alpnProtocols: http2 === null ? ALPN_HTTP1 : ALPN_H2,
    keyLog: options.keyLog
  })
  if (!(secured instanceof TLSSocket)) return tunnel.destroy(options.reporter.handshakeFailed(tunnel, secured))
  noteHandshake(tunnel, secured)
  tunnel.peerWatch = new PeerWatch(tunnel, secured)
  tunnel.origin = originOf('https', hostname, request.target.port)
  serve(tunnel, secured, tunnel.alpn === 'h2' ? http2! : http1)
}

function noteHandshake (tunnel: Tunnel, socket: TLSSocket): void {
  tunnel.alpn = socket.alpnProtocol || null
  tunnel.tlsVersion = socket.getProtocol()
  const resumed = socket.isSessionReused()
  if (tunnelIntercepted.hasSubscribers) {
    const message: TunnelIntercepted = { ...tunnel.describe(), resumed }
    tunnelIntercepted.publish(message)
  }
  if (tunnel.tlsVersion === 'TLSv1.2' && !resumed) {
    tunnel.secured = { at: Date.now(), bytesRead: tunnel.socket.bytesRead }
  }
  socket.on('error', (err) => { tunnel.ending = connectionFailed(err) })
}

function serve (tunnel: Tunnel, socket: Socket, server: RequestServer): void {
  tunnel.info = tunnel.describe()
  tunnel.innerSocket = socket
  tunnel.watch = null
  server.serve(socket, tunnel)
}
