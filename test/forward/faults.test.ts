import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import { jsonOf } from '../support/raw'
import { startForward, startRaw, startSite } from './support'

t.test('answers 502 or 504, with a code, for what hosts do wrong', async (t) => {
  const silent = await startRaw(t, () => {})
  const closing = await startRaw(t, (socket) => socket.destroy())
  const plain = await startSite(t, (_request, response) => response.end())
  const slow = await startRaw(t, (socket) => { socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab') })
  const switching = await startRaw(t, (socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n')
  })
  const proxy = await startForward(t, { timeouts: { headers: 200, body: 200, connect: 2000 } })
  for (const [url, status, code] of [
    [`http://127.0.0.1:${silent.port}/`, 504, 'FST_PROX_UPSTREAM_TIMEOUT'],
    [`http://127.0.0.1:${closing.port}/`, 502, 'FST_PROX_UPSTREAM_FAILED'],
    [`http://127.0.0.1:${switching.port}/`, 502, 'FST_PROX_UPSTREAM_FAILED'],
    ['http://127.0.0.1:1/', 502, 'FST_PROX_UPSTREAM_UNREACHABLE'],
    [`https://127.0.0.1:${plain.port}/`, 502, 'FST_PROX_UPSTREAM_TLS']
  ] as const) {
    const response = url.startsWith('https') ? await proxy.get(url) : await (await proxy.client()).ask('GET', url)
    t.strictSame([response.status, JSON.parse(response.body).code], [status, code], url)
  }
  await t.rejects((await proxy.client()).ask('GET', `http://127.0.0.1:${slow.port}/`), /closed after/)
})

t.test('gives up a handshake that takes too long', async (t) => {
  const server = net.createServer((socket) => { t.teardown(() => socket.destroy()) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const proxy = await startForward(t, { timeouts: { connect: 200 } })
  const { status, body } = await proxy.get(`https://localhost:${(server.address() as net.AddressInfo).port}/`)
  t.strictSame([status, JSON.parse(body).code], [504, 'FST_PROX_UPSTREAM_TIMEOUT'])
})

t.test('aborts the request when the client leaves, before the head too', async (t) => {
  for (const path of ['/before', '/while']) {
    const gone = new Promise<void>((resolve) => {
      startSite(t, (request, response) => {
        if (path === '/while') response.write('some')
        request.socket.once('close', () => resolve())
        started()
      }).then(async ({ port }) => {
        const client = await (await proxy).client()
        client.write(`GET http://127.0.0.1:${port}${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
        await begun
        client.socket.destroy()
      })
    })
    let started!: () => void
    const begun = new Promise<void>((resolve) => { started = resolve })
    const proxy = startForward(t)
    await gone
    t.pass(path)
  }
})

t.test('says what to do when a body has been parsed', async (t) => {
  const site = await startSite(t, (request, response) => { request.pipe(response) })
  const proxy = await startForward(t, {}, (app) => {
    app.post('/*', { config: { forward: false } }, (_request, reply) => reply.forward())
    app.register(async (inner) => {
      inner.put('/*', { config: { forward: true } }, (_request, reply) => reply.forward())
      inner.patch('/*', (_request, reply) => reply.forward())
    })
    app.delete('/*', { schema: { body: { type: 'object', required: ['a'] } } }, async (request) => request.body)
  })
  const ask = async (method: string): Promise<string> => {
    const client = await proxy.client()
    const type = { 'content-type': 'application/json' }
    const { status, body } = await client.ask(method, `http://127.0.0.1:${site.port}/`, type, '{"a" :1}')
    return `${status} ${JSON.parse(body).code ?? body}`
  }
  t.equal(await ask('POST'), '500 FST_PROX_BODY_PARSED')
  t.equal(await ask('PATCH'), '500 FST_PROX_BODY_PARSED', 'contexts inside parse as they did')
  t.equal(await ask('PUT'), '200 {"a" :1}')
  t.equal(await ask('DELETE'), '200 {"a":1}', 'and so does a route that validates')
})

t.test('answers 404 to what is no proxied request, and 500 to a URL that is none', async (t) => {
  const proxy = await startForward(t, {}, (app) => {
    app.get('/url', (_request, reply) => reply.forward({ url: 'ftp://a' }))
    app.all('/*', (_request, reply) => reply.forward())
  })
  const ask = async (path: string): Promise<unknown> => {
    const client = await proxy.client()
    return (await jsonOf(client.ask('GET', path, { host: 'localhost' }))).code
  }
  t.equal(await ask('/'), 'FST_PROX_NOT_PROXIED')
  t.equal(await ask('/url'), 'FST_PROX_INVALID_URL')
})
