/**
 * Ends TLS connections to the proxy itself whose client has reset them without Node noticing (see compat/tls-handle):
 * those of tunnels over HTTP/2, and of requests in absolute-form.
 */
import type { EventEmitter } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { findLostWrite } from '../compat/tls-handle'

/** How often connections are looked at, in milliseconds. One that is seen twice in the same state is ended. */
const PERIOD = 1_000

/** Watches the connections of a server that speaks TLS; a server that does not has no such event. */
export function watchConnections (server: EventEmitter): void {
  /** What the system had been given to write when a lost write was last seen; `null`: none was. */
  const stuckAt = new Map<TLSSocket, number | null>()
  let timer: NodeJS.Timeout | undefined

  const check = (): void => {
    for (const [socket, before] of stuckAt) {
      const now = findLostWrite(socket)
      if (now !== null && now === before) socket.destroy()
      stuckAt.set(socket, now)
    }
  }
  server.on('secureConnection', (socket: TLSSocket) => {
    stuckAt.set(socket, null)
    timer ??= setInterval(check, PERIOD).unref()
    socket.on('close', () => {
      stuckAt.delete(socket)
      if (stuckAt.size > 0) return
      clearInterval(timer)
      timer = undefined
    })
  })
}
