/**
 * Waits for the responses to earlier requests of a connection before it is used for something else: a tunnel, a
 * WebSocket.
 *
 * Relied on: `socket._httpMessage` is the response that a connection is busy with, and Node puts the next one in its
 * place before other listeners of 'finish' run.
 * Seen in: Node 20 to 26 (lib/_http_server.js).
 * Without it: a CONNECT behind other requests on one connection is answered before them.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

interface HttpSocket extends Duplex {
  _httpMessage?: ServerResponse | null
}

/**
 * Calls `go` when every response to an earlier request has been written: in the same tick if there is none, never when
 * the connection ends before.
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

/** Whether sockets of the running Node tell the response that they are busy with. */
export function tellsResponse (): boolean {
  const socket: HttpSocket = new Socket()
  const response = new ServerResponse(new IncomingMessage(socket as Socket))
  response.assignSocket(socket as Socket)
  return socket._httpMessage === response
}
