/** A small site to record: pages, pictures, a font, an API, a redirect, a video in parts, a WebSocket. */
import { createReadStream, statSync } from 'node:fs'
import http from 'node:http'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WebSocketServer } from 'ws'

const { PORT = '8081' } = process.env

const FILES = new Set([
  'about.html', 'app.js', 'clip.webm', 'index.html', 'picture.png', 'picture.svg', 'shapes.ttf', 'style.css'
])

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.ttf': 'font/ttf',
  '.webm': 'video/webm'
}

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost')
  const name = pathname.slice(1) || 'index.html'
  if (name === 'api/items') return sendItems(response)
  if (name === 'moved/picture.png') return response.writeHead(302, { location: '/picture.png' }).end()
  if (!FILES.has(name)) return response.writeHead(404).end()
  sendFile(request, response, name)
})

/** Other numbers each time: a page that shows the same ones has them out of an archive. */
function sendItems (response) {
  const items = ['one', 'two', 'three'].map((name) => ({ name, number: Math.random() }))
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(items))
}

function sendFile (request, response, name) {
  const path = fileURLToPath(new URL(`site/${name}`, import.meta.url))
  const { size } = statSync(path)
  response.setHeader('content-type', TYPES[extname(name)]).setHeader('accept-ranges', 'bytes')
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  if (first === undefined || Number(first) >= size) {
    response.setHeader('content-length', size)
    return createReadStream(path).pipe(response)
  }
  const end = last ? Math.min(Number(last), size - 1) : size - 1
  response.writeHead(206, {
    'content-length': end - first + 1, 'content-range': `bytes ${first}-${end}/${size}`
  })
  createReadStream(path, { start: Number(first), end }).pipe(response)
}

const sockets = new WebSocketServer({ server, path: '/live' })
sockets.on('connection', (socket) => socket.send('live'))

server.listen(Number(PORT), '127.0.0.1', () => console.log(`Site:   http://127.0.0.1:${server.address().port}/`))

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit())
