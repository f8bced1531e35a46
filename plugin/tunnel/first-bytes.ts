/** Reads the first bytes that a client sends in a tunnel, as many as tell what it speaks and which host it means. */
import type { Socket } from 'node:net'
import { parseServerName } from '../http/host'
import { serverNameOf } from './client-hello'
import { sniff } from './sniff'
import type { Protocol } from './sniff'
import type { Tunnel } from './tunnel'

export interface FirstBytes {
  /** `null`: neither TLS nor HTTP. */
  readonly protocol: Protocol | null
  /** The server name of a ClientHello as it was sent, or `null`. */
  readonly servername: string | null
  /** They are in the socket again. */
  readonly bytes: Buffer
}

/**
 * Resolves when the bytes tell; with `null` when the client ended the connection before.
 * @param head what came right behind the CONNECT
 * @param onClientHello called when a ClientHello begins
 */
export function readFirstBytes (
  socket: Socket, head: Buffer, onClientHello: () => void
): Promise<FirstBytes | null> {
  return new Promise((resolve) => {
    let bytes: Buffer | null = null

    const finish = (result: FirstBytes | null): void => {
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      resolve(result)
    }
    const onEnd = (): void => finish(null)
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      const begins = bytes === null
      bytes = bytes === null ? chunk : Buffer.concat([bytes, chunk])
      const protocol = sniff(bytes)
      if (protocol === undefined) return
      if (protocol === 'tls' && begins) onClientHello()
      const servername = protocol === 'tls' ? serverNameOf(bytes) : null
      if (servername === undefined) return
      finish({ protocol, servername, bytes })
      socket.unshift(bytes)
    }

    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.on('readable', onReadable)
    // The client may have ended its side while a hook was busy, and that is emitted once.
    if (socket.readableEnded || socket.destroyed) onEnd()
    else if (head.length > 0) socket.unshift(head)
  })
}

/** The TLS server name as a host name; one that is none counts as none, and the CONNECT's host stays (RFC 6066 3). */
export function readServerName (tunnel: Tunnel, sent: string | null): string | null {
  if (sent === null) return null
  const servername = parseServerName(sent)
  if (servername === null) {
    const { authority, log } = tunnel.request
    log.debug({ servername: sent.slice(0, 253) }, `tunnel to ${authority}: the TLS server name is not a host name`)
  }
  return servername
}
