/** mockttp with canned answers, without its record of the traffic. */
import { generateCACertificate, getLocal } from 'mockttp'
import { BLOCK, BODY, CONTENT_TYPE, KEEP_ALIVE, TRANSFER } from '../payload.js'

export async function start ({ http2 }) {
  const authority = await generateCACertificate()
  const server = getLocal({ https: authority, http2: http2 === true, recordTraffic: false, suggestChanges: false })
  await server.start()
  // It has no option for that.
  server.server._httpServer.keepAliveTimeout = KEEP_ALIVE
  let download
  await server.forGet('/down').thenCallback(() => {
    download ??= Buffer.concat(Array.from({ length: TRANSFER / BLOCK.length }, () => BLOCK))
    const headers = { 'content-type': 'application/octet-stream', 'content-length': `${TRANSFER}` }
    return { statusCode: 200, headers, rawBody: download }
  })
  await server.forPost('/up').thenCallback(async ({ body }) => {
    const { length } = body.buffer
    return { statusCode: 200, json: { received: length } }
  })
  await server.forAnyWebSocket().thenEcho()
  const headers = { 'content-type': CONTENT_TYPE, 'content-length': `${BODY.length}` }
  await server.forUnmatchedRequest().thenReply(200, BODY, headers)
  return { port: server.port, ca: authority.cert, proxy: true }
}
