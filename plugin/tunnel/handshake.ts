/** Ends the TLS of a client with a certificate of our CA. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { SecureContext } from 'node:tls'
import { copyAddress } from '../compat/socket-address'
import { finishHandshake } from '../compat/tls-socket'
import { describeHandshakeFailure, LEFT_IN_HANDSHAKE } from './outcome'
import type { HandshakeFailure } from './outcome'

export interface HandshakeOptions {
  readonly secureContext: SecureContext
  /** In the wire format of ALPN (RFC 7301 3.1), in order of preference. */
  readonly alpnProtocols: Uint8Array
  /** Takes a line in the format of `SSLKEYLOGFILE`. */
  readonly keyLog: ((line: Buffer) => void) | null
}

/** Fatal alerts in place of a ServerHello (RFC 8446 6). */
export const Alert = {
  accessDenied: Buffer.from('15030300020231', 'hex'),
  internalError: Buffer.from('15030300020250', 'hex'),
  unrecognizedName: Buffer.from('15030300020270', 'hex')
} as const

/**
 * Does the handshake on a socket whose next bytes are a ClientHello. Resolves with the TLS socket, or with why there is
 * none; the caller destroys the socket then.
 */
export function handshake (socket: Socket, options: HandshakeOptions): Promise<TLSSocket | HandshakeFailure> {
  return new Promise((resolve) => {
    const tlsSocket = new TLSSocket(socket, {
      isServer: true,
      secureContext: options.secureContext,
      ALPNProtocols: options.alpnProtocols
    })
    copyAddress(socket, tlsSocket)
    if (options.keyLog !== null) tlsSocket.on('keylog', options.keyLog)

    // Both stay when the handshake has failed: errors may follow.
    const onError = (err: NodeJS.ErrnoException): void => resolve(describeHandshakeFailure(err))
    const onEnd = (): void => resolve(LEFT_IN_HANDSHAKE)
    tlsSocket.on('error', onError)
    tlsSocket.on('end', onEnd)
    tlsSocket.once('secure', () => {
      tlsSocket.off('end', onEnd)
      finishHandshake(tlsSocket)
      resolve(tlsSocket)
    })
  })
}
