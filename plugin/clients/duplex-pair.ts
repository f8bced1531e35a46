/** Two streams, each of which reads what is written to the other: `stream.duplexPair`, which Node has since 20.17. */
import { Duplex } from 'node:stream'

class End extends Duplex {
  other!: End
  #ended = false

  constructor () {
    // As with sockets, one side ends when the other has.
    super({ allowHalfOpen: false })
  }

  override _read (): void {}

  override _write (chunk: Buffer, encoding: BufferEncoding, done: () => void): void {
    // Later, as from a network: who writes is not called back before it has returned.
    setImmediate(() => {
      this.other.#receive(chunk)
      done()
    })
  }

  override _final (done: () => void): void {
    this.other.#receive(null)
    done()
  }

  override _destroy (err: Error | null, done: (err: Error | null) => void): void {
    this.other.#receive(null)
    done(err)
  }

  #receive (chunk: Buffer | null): void {
    // The other side may have been destroyed while a chunk was on its way.
    if (!this.#ended) this.push(chunk)
    this.#ended ||= chunk === null
  }
}

export function duplexPair (): [Duplex, Duplex] {
  const [one, other] = [new End(), new End()]
  one.other = other
  other.other = one
  return [one, other]
}
