/** The end of a connection whose client has been told everything. */
import type { Duplex } from 'node:stream'

/** How long a client may take to close its side, in milliseconds. */
const LINGER = 2_000

/** Ends our side and gives the client time to read what it was sent, whatever it still sends. */
export function lingeringClose (socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.on('close', () => clearTimeout(timer))
  socket.on('end', () => socket.destroy())
  socket.end()
  socket.resume()
}
