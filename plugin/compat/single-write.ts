/**
 * Writes a response of one piece with one system call and one TLS record, and without the cost of gathering.
 *
 * Relied on: `response.end(body)` writes the body and then an empty chunk, which carries the callback, and a stream
 * that is corked hands both to `_writev`.
 * Seen in: Node 20 and 22 (lib/_http_outgoing.js, lib/net.js). Node 24 and 26 write no empty chunk.
 * Without it: Node gathers the two, which took about 5 % of the CPU time of a small response (Node 20, by the
 * benchmark).
 */
import { Socket } from 'node:net'

type Writev = NonNullable<Socket['_writev']>

const writesEmptyChunk = Number.parseInt(process.versions.node) < 24

const gather = Socket.prototype._writev as Writev

export function writeSingly (socket: Socket): void {
  if (writesEmptyChunk && socket instanceof Socket) socket._writev = writev
}

const writev: Writev = function (this: Socket, chunks, callback) {
  const [first, second] = chunks
  if (chunks.length === 2 && second!.chunk.length === 0) this._write(first!.chunk, first!.encoding, callback)
  else gather.call(this, chunks, callback)
}
