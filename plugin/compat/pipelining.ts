/** Requests that change what a connection is for, behind others on the same connection that are not answered yet. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Node's own field: the response that a connection is busy with. */
interface HttpSocket extends Duplex {
  _httpMessage?: ServerResponse | null
}

/**
 * Goes on when every response that was asked for before has been written, in the same tick if there is none. A
 * connection that ends meanwhile ends the matter.
 */
export function whenAnswered (socket: HttpSocket, go: () => void): void {
  const response = socket._httpMessage
  if (!response) {
    if (socket.writable) go()
    return
  }
  // Node listens no more; as with any request, a client that ends its side is not answered.
  const onEnd = (): void => { socket.destroy() }
  socket.once('end', onEnd)
  // Node's own listener came first, and has put the next response in the place of this one.
  response.once('finish', () => {
    socket.off('end', onEnd)
    whenAnswered(socket, go)
  })
}
