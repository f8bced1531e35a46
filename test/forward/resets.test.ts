import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import { startForward, startSite } from './support'

/** Numbers from 0 to 1 that are the same each time, so that a failure can be run again. */
function random (seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

t.test('leaves nothing behind when clients and hosts reset connections at random moments', async (t) => {
  const next = random(12)
  const block = Buffer.alloc(64 * 1024)
  const site = await startSite(t, (request, response) => {
    const moment = next()
    request.on('error', () => {})
    request.resume()
    if (moment < 0.2) return request.socket.resetAndDestroy()
    response.writeHead(200, { 'content-length': 8 * block.length })
    for (let i = 0; i < 8; i++) {
      if (moment < 0.4 && i === 4) return request.socket.resetAndDestroy()
      response.write(block)
    }
    response.end()
  })
  let ended = 0
  const proxy = await startForward(t)
  proxy.app.onExchange(() => ({ end: () => { ended++ } }))
  const begin = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  let connected = 0
  let begun = 0
  for (let round = 0; round < 30; round++) {
    await Promise.all(Array.from({ length: 10 }, async () => {
      const socket = net.connect(proxy.port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      connected++
      socket.write(`POST http://127.0.0.1:${site.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n` +
        `Content-Length: ${4 * block.length}\r\n\r\n`)
      const limit = Math.floor(next() * 8 * block.length)
      let received = 0
      const closed = new Promise((resolve) => socket.on('close', resolve))
      socket.on('data', (chunk) => {
        received += chunk.length
        if (received > limit) socket.resetAndDestroy()
      })
      for (let i = 0; i < 4; i++) {
        if (next() < 0.1) socket.resetAndDestroy()
        else if (!socket.destroyed) socket.write(block)
      }
      await closed
    }))
  }
  begun = site.seen.length
  t.equal(connected, 300)
  t.ok(begun > 100, `${begun} requests reached the host`)
  await proxy.app.close()
  t.ok(ended >= begun, 'every exchange has ended')
  // Waits until no more sockets are open than at the beginning, both ends of each connection being in this process.
  for (let i = 0; i < 100; i++) {
    const open = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    if (open <= begin) return t.pass('no socket is left')
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.fail(`sockets are left: ${process.getActiveResourcesInfo().join()}`)
})
