/**
 * Finishes a TLS socket that was made around a connected socket, as `tls.Server` does for those that it makes.
 *
 * Relied on: `TLSSocket` emits 'secure' when a server's handshake has ended, keeps its errors from 'error' listeners
 * until `_releaseControl()` is called, and counts as connecting while `secureConnecting` is true.
 * Seen in: Node 20 to 26 (lib/internal/tls/wrap.js, `onServerSocketSecure`).
 * Without it: HTTP/2 on the socket waits for ever, and errors of TLS reach nobody.
 */
import { TLSSocket } from 'node:tls'

interface ReleasableSocket {
  secureConnecting: boolean
  _releaseControl (): boolean
}

/** To be called in a listener of 'secure'. */
export function finishHandshake (socket: TLSSocket): void {
  const releasable = socket as unknown as ReleasableSocket
  releasable.secureConnecting = false
  releasable._releaseControl()
}

/** Whether TLS sockets of the running Node can be released. */
export function releasesTlsSockets (): boolean {
  return '_releaseControl' in TLSSocket.prototype
}
