import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { asksForWebSocket } from '../../plugin/http/upgrade'

t.test('a WebSocket is asked for with GET and Upgrade', async (t) => {
  const asks: Array<[method: string, upgrade: string | undefined, webSocket: boolean]> = [
    ['GET', 'websocket', true], ['GET', 'WebSocket', true],
    ['GET', 'h2c', false], ['GET', 'websocket2', false], ['GET', undefined, false], ['POST', 'websocket', false]
  ]
  for (const [method, upgrade, webSocket] of asks) {
    t.equal(asksForWebSocket({ method, headers: { upgrade } } as unknown as IncomingMessage), webSocket, `${method} ${upgrade}`)
  }
})
