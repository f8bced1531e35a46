/**
 * Copies the addresses of a socket that is no `net.Socket` to what Node puts around it, for TLS or for HTTP/2.
 *
 * Relied on: the address properties of `net.Socket` answer from `_peername` and `_sockname` where those are set.
 * Seen in: Node 20 to 26 (lib/net.js).
 * Without it: requests in tunnels over HTTP/2 have no `request.ip`.
 */
import { Socket } from 'node:net'

export function copyAddress (from: Socket, to: object): void {
  if (from instanceof Socket) return
  const { remoteAddress, remotePort, remoteFamily, localAddress, localPort } = from as Socket
  Object.assign(to, {
    _peername: { address: remoteAddress, port: remotePort, family: remoteFamily },
    _sockname: { address: localAddress, port: localPort, family: remoteFamily }
  })
}

/** Whether sockets of the running Node take an address that is set. */
export function takesAddress (): boolean {
  const socket = new Socket()
  Object.assign(socket, { _peername: { address: '192.0.2.1' } })
  return socket.remoteAddress === '192.0.2.1'
}
