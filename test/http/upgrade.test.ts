import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import t from 'tap'
import { asksForWebSocket } from '../../plugin/http/upgrade'

t.test('a WebSocket is asked for with GET, Upgrade and no content', async (t) => {
  const asks: Array<[method: string, headers: IncomingHttpHeaders, webSocket: boolean]> = [
    ['GET', { upgrade: 'websocket' }, true],
    ['GET', { upgrade: 'WebSocket' }, true],
    ['GET', { upgrade: 'websocket', 'content-length': '0' }, true],
    ['GET', { upgrade: 'websocket', 'content-length': '1' }, false],
    ['GET', { upgrade: 'websocket', 'transfer-encoding': 'chunked' }, false],
    ['GET', { upgrade: 'h2c' }, false],
    ['GET', { upgrade: 'websocket2' }, false],
    ['GET', {}, false],
    ['POST', { upgrade: 'websocket' }, false]
  ]
  for (const [method, headers, webSocket] of asks) {
    t.equal(asksForWebSocket({ method, headers } as IncomingMessage), webSocket, `${method} ${JSON.stringify(headers)}`)
  }
})
