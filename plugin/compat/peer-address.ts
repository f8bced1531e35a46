/**
 * Has a connection, and whatever Node puts around it for TLS, tell other addresses than its own.
 *
 * Relied on:
 * - the address properties of `net.Socket` ask the native handle (`_handle`) for `getpeername` and `getsockname`, and
 *   keep what it answered in `_peername` and `_sockname`;
 * - the handle of a TLS socket asks the one below it, by the same names.
 *
 * Seen in: Node 20 to 26 (lib/net.js, lib/internal/tls/wrap.js).
 * Without it: everybody behind a balancer has the balancer's address.
 */
import type { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { createSecureContext, TLSSocket } from 'node:tls'

interface Address {
  readonly address: string
  readonly port: number
  readonly family: string
}

type Ask = (out: object) => number

interface Handle {
  getpeername?: Ask
  getsockname?: Ask
}

interface AddressedSocket {
  _handle: Handle | null
  _peername?: object
  _sockname?: object
}

/**
 * @param peer the client; `null`: it has no address
 * @param local what the client has connected to; `null`: that has no address
 */
export function setAddresses (socket: Socket, peer: Address | null, local: Address | null): void {
  const addressed = socket as unknown as AddressedSocket
  addressed._peername = { ...peer }
  addressed._sockname = { ...local }
  // A socket that was destroyed has none, and is put under no TLS.
  if (addressed._handle !== null) setOfHandle(addressed._handle, { ...peer }, { ...local })
}

function setOfHandle (handle: Handle, peer: object, local: object): void {
  const answer = (address: object): Ask => (out) => {
    Object.assign(out, address)
    return 0
  }
  handle.getpeername = answer(peer)
  handle.getsockname = answer(local)
}

/** Whether a TLS socket of the running Node tells the address that was set below it. */
export function takesAddressBelowTls (): boolean {
  const socket = new TLSSocket(new PassThrough(), { isServer: true, secureContext: createSecureContext({ ca: [] }) })
  const { _handle: handle } = socket as unknown as { _handle: { _parent?: Handle } }
  // A new object where there is none below, which nobody asks.
  setOfHandle(Object(handle._parent), { address: '192.0.2.1' }, { address: '192.0.2.2' })
  const { remoteAddress, localAddress } = socket
  socket.destroy()
  return remoteAddress === '192.0.2.1' && localAddress === '192.0.2.2'
}
