/**
 * Finds TLS connections whose client has reset them without Node noticing.
 *
 * When a client resets right behind its handshake or request, the first write that fails takes the system's error with
 * it. If that write carried what TLS itself had to say (session tickets, a key update), or belonged to an HTTP/2
 * session, nobody is told, and TLSWrap regards it as under way for ever: no later write is sent or called back, 'end'
 * is emitted at most, never 'error' or 'close', and the descriptor stays open. A TCP socket without TLS is not
 * concerned.
 *
 * Relied on: the native handle of a TLS socket (`_handle`) tells how many bytes wait in it (`writeQueueSize`), and
 * leads to the handle below it (`_parent`), which tells how many it was given (`bytesWritten`).
 * Seen in: Node 20 to 26.
 * Without it: such connections stay open for ever, as those of plain https servers do.
 */
import type { TLSSocket } from 'node:tls'

/** TLSWrap, and below it what it writes to: TCP or Pipe as a rule. */
interface Handle {
  /** Bytes that were not written yet. */
  readonly writeQueueSize?: number
  /** Bytes that were ever to be written. */
  readonly bytesWritten: number
  readonly _parent?: Handle
}

/**
 * Tells whether TLS holds encrypted bytes while the socket below has none to write. Bytes for a client that reads
 * slowly, or has ended its side, wait in the socket below. TLS may be on TLS, when the proxy is reached by TLS.
 * @returns how much the system has been given to write, or `null` when nothing is lost
 */
function findLostWrite (socket: TLSSocket): number | null {
  let pending = false
  let bottom = (socket as { _handle?: Handle | null })._handle
  for (; bottom?._parent; bottom = bottom._parent) pending ||= bottom.writeQueueSize! > 0
  // A stream in JavaScript has no size: how much it holds back is not known.
  return pending && bottom?.writeQueueSize === 0 ? bottom.bytesWritten : null
}

/** Tells whether the client of a TLS socket has reset it. To be asked periodically, with a pause. */
export class ResetDetector {
  readonly #socket: TLSSocket
  /** What the system had been given to write when a lost write was last seen; `null`: none was. */
  #stuckAt: number | null = null

  constructor (socket: TLSSocket) {
    this.#socket = socket
  }

  /** True when a lost write is seen twice in the same state: Node reports some writes a turn of its loop later. */
  check (): boolean {
    const before = this.#stuckAt
    this.#stuckAt = findLostWrite(this.#socket)
    return this.#stuckAt !== null && this.#stuckAt === before
  }
}
