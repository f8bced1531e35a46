/** Time limits are the host's: a client that is slow to send or to read has as long as it takes. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Proxy } from '../support/proxy'
import { startForward, startRaw, startSite } from './support'
import type { Handler } from './support'

/** Milliseconds that a host has, and those, more, that a client takes. */
const LIMIT = 400
const LONGER = 1_000

/** More than the buffers of all the sockets on the way hold. */
const LARGE = 32 * 2 ** 20

/** The URLs of a host, over HTTP/1.1 and over HTTP/2. */
async function startBoth (t: Test, handler: Handler): Promise<string[]> {
  const plain = await startSite(t, handler)
  const secure = await startSite(t, handler, { http2: true })
  return [`http://127.0.0.1:${plain.port}/`, `https://localhost:${secure.port}/`]
}

/** Routes that forward to the URL that their query has. */
async function startNamed (t: Test, timeouts = { headers: LIMIT, body: LIMIT }): Promise<Proxy> {
  return await startForward(t, { timeouts }, (app) => {
    app.all('/to/*', (request, reply) => reply.forward({ url: (request.params as { '*': string })['*'] }))
  })
}

t.test('a client that is slow to send its content is waited for', async (t) => {
  // Not before all of the content is there: a response that has begun has a limit of its own.
  const urls = await startBoth(t, async (request, response) => response.end((await request.toArray()).join('')))
  const proxy = await startNamed(t)
  for (const url of urls) {
    const client = await proxy.client()
    client.write(`POST /to/${url} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na`)
    await wait(LONGER)
    client.write('b')
    t.match(await client.response(), { status: 200, body: 'ab' }, url)
  }
})

t.test('a host that has all of the content is waited for no longer than the limit', async (t) => {
  const urls = await startBoth(t, (request) => { request.resume() })
  const proxy = await startNamed(t)
  for (const url of urls) {
    const client = await proxy.client()
    const response = await client.ask('POST', `/to/${url}`, {}, 'all of it')
    t.match(response, { status: 504, body: /FST_PROX_UPSTREAM_TIMEOUT.*response head/ }, url)
  }
})

t.test('a host that takes no more of the content is waited for no longer than the limit', async (t) => {
  const server = net.createServer((socket) => {
    socket.pause().on('error', () => {})
    t.teardown(() => socket.destroy())
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const secure = await startSite(t, () => {}, { http2: true })
  const proxy = await startNamed(t)
  const { port } = server.address() as AddressInfo
  for (const url of [`http://127.0.0.1:${port}/`, `https://localhost:${secure.port}/`]) {
    const client = await proxy.client()
    client.write(`POST /to/${url} HTTP/1.1\r\nHost: a\r\nContent-Length: ${LARGE}\r\n\r\n`)
    client.write(Buffer.alloc(LARGE))
    t.match(await client.response(), { status: 504, body: /FST_PROX_UPSTREAM_TIMEOUT.*response head/ }, url)
  }
})

t.test('a client that is slow to read gets all of the response', async (t) => {
  const urls = await startBoth(t, (_request, response) => response.end(Buffer.alloc(LARGE, 'a')))
  const proxy = await startNamed(t, { headers: 60_000, body: LIMIT })
  for (const url of urls) {
    const client = await proxy.client()
    client.write(`GET /to/${url} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const socket = client.detach()
    await wait(LONGER)
    let received = 0
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received > LARGE) socket.end()
    })
    socket.resume()
    await once(socket, 'close')
    t.ok(received > LARGE, url)
  }
})

t.test('a host that stops in the middle of its content is cut off', async (t) => {
  const raw = await startRaw(t, (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab') })
  const proxy = await startNamed(t)
  await t.rejects((await proxy.client()).ask('GET', `/to/http://127.0.0.1:${raw.port}/`), /closed after/)
})
