/**
 * Ends TLS connections to the proxy itself whose client has reset them without Node noticing (see compat/tls-handle):
 * those of tunnels over HTTP/2, and of requests in absolute-form.
 */
import type { EventEmitter } from 'node:events'
import type { TLSSocket } from 'node:tls'
import { ResetDetector } from '../compat/tls-handle'

/** How often connections are looked at, in milliseconds. */
const PERIOD = 1_000

/** Watches the connections of a server that speaks TLS; a server that does not has no such event. */
export function watchConnections (server: EventEmitter): void {
  const detectors = new Map<TLSSocket, ResetDetector>()
  let timer: NodeJS.Timeout | undefined

  const check = (): void => {
    /* c8 ignore next: Node may notice a reset first, which is a matter of time */
    for (const [socket, detector] of detectors) if (detector.check()) socket.destroy()
  }
  server.on('secureConnection', (socket: TLSSocket) => {
    detectors.set(socket, new ResetDetector(socket))
    timer ??= setInterval(check, PERIOD).unref()
    socket.on('close', () => {
      detectors.delete(socket)
      if (detectors.size > 0) return
      clearInterval(timer)
      timer = undefined
    })
  })
}
