/** What hosts, clients and routes do seldom: each is answered, and nothing stays behind. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { createGzip } from 'node:zlib'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { WebSocket, WebSocketServer } from 'ws'
import { HttpsProxyAgent } from 'https-proxy-agent'
import websocket from '@fastify/websocket'
import { startForward, startRaw, startSite } from './support'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

t.test('options that are none are refused', async (t) => {
  for (const options of [{ pseudonym: 'a b' }, { timeouts: { headers: -1 } }, { timeouts: { body: 1.5 } }]) {
    await t.rejects(startForward(t, options), { code: 'FST_PROX_INVALID_OPTION' }, JSON.stringify(options))
  }
})

t.test('a POST without content has a length', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const proxy = await startForward(t)
  const client = await proxy.client()
  client.write(`POST http://127.0.0.1:${site.port}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  t.equal((await client.response()).body, 'ok')
  t.match(site.seen[0]!.headers, { 'content-length': '0', 'transfer-encoding': undefined })
})

t.test('informational responses go on where they are well formed, whatever is wrong with them', async (t) => {
  const raw = await startRaw(t, (socket) => {
    const early = 'HTTP/1.1 103 Early Hints\r\nLink: no link\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n'
    socket.end(`HTTP/1.1 102 Processing\r\n\r\n${early}${OK}`)
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  t.match(await client.ask('GET', `http://127.0.0.1:${raw.port}/`), { status: 200, interim: [102], body: 'ok' })
  t.ok(await proxy.log.next(/an informational response was not handed on/))
})

t.test('TRACE with Max-Forwards: 0 is answered here, without secrets', async (t) => {
  const proxy = await startForward(t, {}, (app) => {
    app.addHttpMethod('TRACE')
    app.route({ method: 'TRACE', url: '/*', handler: (_request, reply) => reply.forward() })
  })
  const client = await proxy.client()
  const { status, headers, body } = await client.ask('TRACE', 'http://127.0.0.1:1/a', {
    'max-forwards': '0', cookie: 'secret', 'x-a': 'b'
  })
  t.strictSame([status, headers['content-type']], [200, 'message/http'])
  t.match(body, /^TRACE \S+ HTTP\/1\.1\r\n[^]*max-forwards: 0\r\nx-a: b\r\n\r\n$/)
  t.notMatch(body, 'secret')
})

t.test('a host that speaks HTTP/2 is waited for as long as the limits say', async (t) => {
  const site = await startSite(t, (request, response) => {
    if (request.url === '/head') return
    response.write('begun')
  }, { http2: true })
  const proxy = await startForward(t, { timeouts: { headers: 200, body: 200 } })
  t.match(await proxy.get(`https://localhost:${site.port}/head`), {
    status: 504, body: /FST_PROX_UPSTREAM_TIMEOUT.*response head/
  })
  const client = await proxy.tls(`localhost:${site.port}`)
  client.write(`GET /body HTTP/1.1\r\nHost: localhost:${site.port}\r\n\r\n`)
  t.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*begun\r\n$/, 'without its last chunk')
})

t.test('a field that HTTP/2 cannot have is an error of the route', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { http2: true })
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (_request, reply) => reply.forward({ headers: { upgrade: 'x' } }))
  })
  t.match(await proxy.get(`https://localhost:${site.port}/`), { status: 502, body: /FST_PROX_UPSTREAM_FAILED/ })
  t.equal(site.seen.length, 0)
})

t.test('connections to hosts end with the application', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { http2: true })
  const plain = await startSite(t, (_request, response) => response.end('ok'), { tls: {} })
  const closed = [site, plain].map(async ({ server }) => {
    const [socket] = await once(server, 'secureConnection')
    await once(socket, 'close')
  })
  const proxy = await startForward(t)
  const client = await proxy.client()
  // Does not answer: its client leaves.
  const silent = await startRaw(t, (socket) => {
    closed.push(once(socket, 'close').then(() => {}))
    client.socket.destroy()
  })
  t.equal((await proxy.get(`https://localhost:${site.port}/`)).body, 'ok')
  t.equal((await proxy.get(`https://localhost:${plain.port}/`)).body, 'ok')
  client.write(`GET http://127.0.0.1:${silent.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
  await once(client.socket, 'close')
  await proxy.app.close()
  t.equal((await Promise.all(closed)).length, 3)
})

/** A host whose WebSockets repeat what they hear. */
async function startEcho (t: Test): Promise<{ site: WebSocketServer, port: number }> {
  const site = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => {
    for (const socket of site.clients) socket.terminate()
    site.close()
  })
  site.on('connection', (socket) => socket.on('message', (data) => socket.send(data)))
  await once(site, 'listening')
  return { site, port: (site.address() as AddressInfo).port }
}

async function withSockets (app: FastifyInstance): Promise<void> {
  await app.register(websocket)
  app.get('/*', { websocket: true, config: { forward: true } }, (socket, request) => request.forwardSocket(socket))
}

t.test('a WebSocket goes by an upstream proxy in a tunnel', async (t) => {
  const { Server: HttpProxyServer } = await import('proxy-chain')
  const targets: string[] = []
  const upstream = new HttpProxyServer({
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ hostname, isHttp }) => {
      targets.push(`${isHttp ? 'absolute-form' : 'tunnel'} ${hostname}`)
      return undefined
    }
  })
  await upstream.listen()
  t.teardown(() => upstream.close(true))
  const { port } = await startEcho(t)
  const proxy = await startForward(t, { via: `http://127.0.0.1:${upstream.port}` }, withSockets)
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { agent })
  t.teardown(() => client.terminate())
  await once(client, 'open')
  client.send('hello')
  t.equal(String((await once(client, 'message'))[0]), 'hello')
  t.strictSame(targets, ['tunnel 127.0.0.1'])
})

t.test('a WebSocket handshake that the host does not answer is given up', async (t) => {
  const raw = await startRaw(t, () => {})
  const proxy = await startForward(t, { timeouts: { headers: 200 } }, withSockets)
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${raw.port}/`, { agent })
  const [, response] = await once(client, 'unexpected-response')
  client.on('error', () => {})
  t.equal(response.statusCode, 504)
  client.terminate()
})

t.test('a recorder holds a WebSocket message back, and loses none', async (t) => {
  const { site, port } = await startEcho(t)
  site.on('connection', (socket) => {
    for (let i = 0; i < 5; i++) socket.send(String(i))
    socket.close()
  })
  const noted: string[] = []
  const proxy = await startForward(t, {}, async (app) => {
    app.onExchange(() => ({
      message: async (_from, data) => {
        await new Promise((resolve) => setImmediate(resolve))
        noted.push(String(data))
      }
    }))
    await withSockets(app)
  })
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { agent })
  t.teardown(() => client.terminate())
  const received: string[] = []
  client.on('message', (data) => received.push(String(data)))
  await once(client, 'close')
  t.strictSame(received, ['0', '1', '2', '3', '4'])
  t.strictSame(noted, received)
})

t.test('TLS 1.2 sessions of a host that was verified are resumed', async (t) => {
  const reused: boolean[] = []
  const site = await startSite(t, (request, response) => {
    reused.push((request.socket as TLSSocket).isSessionReused())
    response.setHeader('connection', 'close')
    response.end('ok')
  }, { tls: { maxVersion: 'TLSv1.2' } })
  const proxy = await startForward(t, { http2: false })
  for (let i = 0; i < 2; i++) t.equal((await proxy.get(`https://localhost:${site.port}/`)).body, 'ok')
  t.strictSame(reused, [false, true])
})

t.test('an upstream proxy that does not answer is given up', async (t) => {
  const raw = await startRaw(t, () => {})
  const proxy = await startForward(t, { via: `http://127.0.0.1:${raw.port}`, timeouts: { connect: 200 } })
  const { status, body } = await proxy.get('https://a.test/')
  t.match({ status, body }, { status: 504, body: /FST_PROX_UPSTREAM_TIMEOUT.*CONNECT/ })
})

t.test('a limit that is the time for which connections are kept is a limit', async (t) => {
  const raw = await startRaw(t, () => {})
  const proxy = await startForward(t, { timeouts: { headers: 4_000 } })
  t.equal((await proxy.get(`http://127.0.0.1:${raw.port}/`)).status, 504)
})

t.test('a host that answers TLS with something else is refused', async (t) => {
  const plain = await startSite(t, (_request, response) => response.end('ok'))
  const proxy = await startForward(t)
  t.match(await proxy.get(`https://localhost:${plain.port}/`), { status: 502, body: /FST_PROX_UPSTREAM_TLS/ })
})

t.test('a client that is gone when its WebSocket has been dialled leaves nothing at the host', async (t) => {
  const { site, port } = await startEcho(t)
  let end: (err: Error | null) => void = () => {}
  const recorded = new Promise<Error | null>((resolve) => { end = resolve })
  const proxy = await startForward(t, {}, async (app) => {
    // Node does not read a connection between the request for a WebSocket and its answer, so this is who ends it here.
    app.onExchange(({ request }) => ({
      request: () => { request.raw.socket.destroy() },
      end: ({ error }) => end(error)
    }))
    await withSockets(app)
  })
  const closed = once(site, 'connection').then(async ([socket]) => await once(socket, 'close'))
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { agent })
  client.on('error', () => {})
  t.match(await recorded, { message: 'the client left' })
  t.strictSame((await closed)[0], 1006)
})

t.test('a client that leaves while its way is chosen leaves nothing at the host', async (t) => {
  const site = await startSite(t, () => t.fail('asked'))
  let chosen = (): void => {}
  const asked = new Promise<void>((resolve) => { chosen = resolve })
  let answer = (): void => {}
  const way = new Promise<null>((resolve) => { answer = () => resolve(null) })
  let end: (err: Error | null) => void = () => {}
  const ended = new Promise<Error | null>((resolve) => { end = resolve })
  const proxy = await startForward(t, {
    via: async () => {
      chosen()
      return await way
    }
  })
  proxy.app.onExchange(() => ({ end: ({ error }) => end(error) }))
  const client = await proxy.client()
  client.write(`GET http://127.0.0.1:${site.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
  await asked
  client.socket.destroy()
  t.match(await ended, { message: 'the client left' })
  answer()
  await proxy.app.close()
  t.equal(site.seen.length, 0)
})

t.test('a connection whose request could not be written ends with the application', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { tls: {} })
  const closed = once(site.server, 'secureConnection').then(async ([socket]) => await once(socket, 'close'))
  const proxy = await startForward(t)
  proxy.app.onExchange(() => ({ requestHeaders: (fields) => [...fields, 'X-A', 'one\ntwo'] }))
  t.equal((await proxy.get(`https://localhost:${site.port}/`)).status, 500)
  await proxy.app.close()
  await closed
  t.equal(site.seen.length, 0)
})

t.test('decodes within its own limit, forwards what is injected, and tells a URL that has no route', async (t) => {
  const site = await startSite(t, (request, response) => {
    response.setHeader('content-encoding', 'gzip')
    request.pipe(createGzip()).pipe(response)
  })
  const proxy = await startForward(t, { timeouts: { connect: 0 } }, (app) => {
    app.post('/*', (_request, reply) => reply.forward({ decode: true }))
    app.setNotFoundHandler((_request, reply) => reply.forward())
  })
  const url = `http://127.0.0.1:${site.port}/`
  t.match(await proxy.ask('POST', url, {}, 'hello'), { status: 200, body: 'hello' })
  const injected = await proxy.app.injectProxy({ method: 'POST', url, payload: 'injected' })
  t.match(injected, { statusCode: 200, body: 'injected' })
  const { status, body } = await proxy.ask('PUT', url, { 'content-type': 'application/json' }, '{}')
  t.match({ status, body }, { status: 500, body: /FST_PROX_BODY_PARSED/ })
})
