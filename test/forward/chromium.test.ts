/** Chromium browses a site that speaks HTTP/2, with a WebSocket, through a proxy that forwards. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import websocket from '@fastify/websocket'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { Chromium, withoutChromium } from '../clients/chromium'
import { LOCAL, privateRoot, startForward, startSite } from './support'

const PAGE = `<!doctype html><title>site</title><link rel=stylesheet href=/style.css>
<script type=module>
  const { text } = await (await fetch('/api', { method: 'POST', body: 'x'.repeat(300_000) })).json()
  const socket = new WebSocket('wss://' + location.host + '/socket')
  socket.onopen = () => socket.send(text)
  socket.onmessage = ({ data }) => { document.title = data }
</script>`

t.test('a page with its style sheet, a POST of 300 kB and a WebSocket', { skip: withoutChromium }, async (t) => {
  const { key, cert } = await (await privateRoot()).issue('site.test')
  const site = await startSite(t, (request, response) => {
    if (request.url === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(PAGE)
    if (request.url === '/style.css') {
      return response.writeHead(200, { 'content-type': 'text/css' }).end('body { color: teal }')
    }
    let length = 0
    request.on('data', (chunk: Buffer) => { length += chunk.length })
    request.on('end', () => response.end(JSON.stringify({ text: `${length} bytes by ${request.httpVersion}` })))
  }, { http2: true, tls: { key, cert } })
  const sockets = new WebSocketServer({ noServer: true })
  t.teardown(() => { for (const client of sockets.clients) client.terminate() })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`heard: ${String(data)}`)))
  site.server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (client) => sockets.emit('connection', client))
  })

  // No name that Chromium would not ask a proxy for, as it does not for localhost.
  const proxy = await startForward(t, {
    allow: LOCAL, lookup: (_hostname, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])
  }, async (app) => {
    await app.register(websocket)
    app.route({
      method: 'GET',
      url: '/*',
      config: { forward: true },
      handler: (_request, reply) => reply.forward(),
      wsHandler: (socket, request) => request.forwardSocket(socket)
    })
    app.post('/*', (_request, reply) => reply.forward())
  })
  const ca = join(t.testdir(), 'ca.pem')
  writeFileSync(ca, proxy.app.proxyCA.certificatePem)
  const browser = await Chromium.launch({ ca, proxy: `127.0.0.1:${proxy.port}` })
  t.teardown(() => browser.close())
  const page = await browser.page()
  t.equal(await page.navigate(`https://site.test:${site.port}/`), null)
  const heard = await page.evaluate(`new Promise((resolve) => {
    const look = () => document.title === 'site' ? setTimeout(look, 20) : resolve(document.title)
    look()
  })`)
  t.equal(heard, 'heard: 300000 bytes by 2.0')
  t.equal(await page.evaluate('getComputedStyle(document.body).color'), 'rgb(0, 128, 128)')
  const entries = "performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol)"
  const protocols = await page.evaluate(entries)
  t.strictSame(new Set(protocols as string[]), new Set(['h2']), 'by HTTP/2 to the proxy as well')
})
