/** Bodies that are too large to be compared. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { h2 } from '../tunnel/support'
import { entry, harFile, startReplayApp } from './support'

const BODY_LIMIT = 64 * 1024 * 1024

t.test('a body above the limit is answered 413, over HTTP/1.1 and HTTP/2, and the application closes', async (t) => {
  const file = harFile(t)
  const entries = [entry('POST', 'https://a.test/')]
  writeFileSync(file, JSON.stringify({ log: { version: '1.2', creator: { name: 'test', version: '1' }, entries } }))
  const proxy = await startReplayApp(t, 'a.test', file)
  const block = Buffer.alloc(1024 * 1024)

  const client = await proxy.tls('a.test:443')
  client.write(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${BODY_LIMIT + block.length}\r\n\r\n`)
  const answer = client.response('POST')
  for (let sent = 0; sent <= BODY_LIMIT; sent += block.length) {
    if (!client.socket.write(block)) await once(client.socket, 'drain')
  }
  t.match(await answer, { status: 413, body: /FST_PROX_CONTENT_TOO_LARGE/ })

  const session = await h2(t, proxy, 'a.test:443')
  const stream = session.request({ ':method': 'POST' })
  const head = once(stream, 'response')
  stream.on('error', () => {})
  for (let sent = 0; sent <= BODY_LIMIT && !stream.destroyed; sent += block.length) {
    if (!stream.write(block)) await Promise.race([once(stream, 'drain'), once(stream, 'close')])
  }
  const [{ ':status': status }] = await head
  t.equal(status, 413)
  session.destroy()
  client.socket.destroy()
  await proxy.app.close()
})
