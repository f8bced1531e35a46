/**
 * http-mitm-proxy with canned answers. Its context per host in one server (`forceSNI`) is faster than a
 * server per host.
 */
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { Proxy } from 'http-mitm-proxy'
import { BLOCK, BODY, CONTENT_TYPE, KEEP_ALIVE, TRANSFER } from '../payload.js'

// It says so when it makes a context.
console.debug = console.info = () => {}

export async function start () {
  const proxy = new Proxy()
  const sslCaDir = await mkdtemp(join(tmpdir(), 'http-mitm-proxy-'))
  proxy.onRequest(({ clientToProxyRequest: request, proxyToClientResponse: response }) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    if (pathname === '/down') {
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': TRANSFER })
      Readable.from(blocks(), { objectMode: false, highWaterMark: BLOCK.length }).pipe(response)
    } else if (pathname === '/up') {
      let received = 0
      request.on('data', (chunk) => { received += chunk.length })
      request.on('end', () => reply(response, JSON.stringify({ received })))
      request.resume()
    } else {
      reply(response, BODY)
    }
  })
  await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: 0, sslCaDir, keepAlive: true, forceSNI: true }
    proxy.listen(options, (err) => err ? reject(err) : resolve())
  })
  // It has no option for that.
  proxy.httpServer.keepAliveTimeout = proxy.httpsServer.keepAliveTimeout = KEEP_ALIVE
  const ca = await readFile(join(sslCaDir, 'certs', 'ca.pem'), 'utf8')
  return { port: proxy.httpPort, ca, proxy: true, directory: sslCaDir }
}

function reply (response, body) {
  response.writeHead(200, { 'content-type': CONTENT_TYPE, 'content-length': body.length })
  response.end(body)
}

function * blocks () {
  for (let sent = 0; sent < TRANSFER; sent += BLOCK.length) yield BLOCK
}
