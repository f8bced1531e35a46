/** TLS on loopback: a server that speaks with one secure context, and clients that verify it. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { TLSSocket, connect } from 'node:tls'
import type { ConnectionOptions, SecureContext } from 'node:tls'
import type { Test } from 'tap'

/**
 * Listens with a secure context of each connection's own and answers every request with 200. Returns the port.
 *
 * @param contextOf asked for every connection.
 */
export async function serve (
  t: Test, contextOf: () => SecureContext | Promise<SecureContext>, host = '127.0.0.1'
): Promise<number> {
  const server = createServer(async (raw) => {
    raw.on('error', () => {})
    const socket = new TLSSocket(raw, { isServer: true, secureContext: await contextOf() })
    // Clients that refuse the certificate go away in the middle of the handshake.
    socket.on('error', () => {})
    socket.once('data', () => { socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok') })
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** What a client saw of a handshake. */
export interface Handshake {
  readonly resumed: boolean
  readonly protocol: string | null
  readonly session: Buffer
  readonly certificate: string
}

/** One handshake and one request, after which the ticket is there (RFC 8446 4.6.1 sends it after the handshake). */
export async function handshake (port: number, options: ConnectionOptions): Promise<Handshake> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  let session: Buffer | undefined
  socket.on('session', (ticket) => { session = ticket })
  await once(socket, 'secureConnect')
  const resumed = socket.isSessionReused()
  const protocol = socket.getProtocol()
  const certificate = socket.getPeerX509Certificate()?.toString() ?? ''
  socket.write('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')
  socket.resume()
  await once(socket, 'end')
  session ??= socket.getSession()
  socket.destroy()
  return { resumed, protocol, session: session!, certificate }
}
