/** The host that forwarders forward to, in a process of its own: its CPU time is not theirs. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { BLOCK, BODY, CONTENT_TYPE, TRANSFER } from '../payload.js'

/** @returns {Promise<string>} its origin; it ends with this process */
export async function startOrigin () {
  const child = fork(fileURLToPath(import.meta.url), { execArgv: [] })
  const [port] = await once(child, 'message')
  process.on('exit', () => child.kill())
  return `http://127.0.0.1:${port}`
}

function serve (request, response) {
  if (request.url === '/down') {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': TRANSFER })
    let sent = 0
    const write = () => {
      while (sent < TRANSFER) {
        sent += BLOCK.length
        if (!response.write(BLOCK)) return response.once('drain', write)
      }
      response.end()
    }
    return write()
  }
  let received = 0
  request.on('data', (chunk) => { received += chunk.length })
  request.on('end', () => {
    const body = request.url === '/up' ? `{"received":${received}}` : BODY
    response.writeHead(200, { 'content-type': CONTENT_TYPE, 'content-length': Buffer.byteLength(body) }).end(body)
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = createServer({ keepAliveTimeout: 72_000 }, serve)
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('disconnect', () => process.exit())
}
