/** Requests that ask for another protocol on their connection (RFC 9110 7.8). */
import type { RawRequest } from '../../types/options'

/** Whether a request asks for a WebSocket (RFC 6455 4.1), and not for some other protocol. It has no content. */
export function asksForWebSocket ({ method, headers }: RawRequest): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0
}
