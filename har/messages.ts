/** Plays a recorded WebSocket: messages of the server, each behind as many of the client's as came before it. */
import type { WebSocket } from 'ws'
import type { HarWebSocketMessage } from '../types/har'

export function playMessages (client: WebSocket, messages: readonly HarWebSocketMessage[]): void {
  let next = 0
  const play = (): void => {
    for (let message = messages[next]; message?.type === 'receive'; message = messages[++next]) {
      const binary = message.opcode === 2
      client.send(Buffer.from(message.data, binary ? 'base64' : 'utf8'), { binary })
    }
  }
  client.on('message', () => {
    // What the client says beyond that is not answered.
    if (messages[next] === undefined) return
    next++
    play()
  })
  client.on('error', () => client.terminate())
  play()
}
