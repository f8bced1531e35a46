/** CONNECT as a request: who may open a tunnel, how it is refused, what the log says of it. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { Log } from '../support/log'
import { create, Proxy, start } from '../support/proxy'
import { RawClient } from '../support/raw'
import type { ConnectContext, OnConnect } from '../../types/options'
import { echo, PROX, recorded, until } from '../tunnel/support'
import type { TunnelClosed, TunnelEvent } from '../../types/events'

const CLOSE = { connection: 'close' }

/** The status code and the error code of a refusal, read to its end. */
async function refusal (proxy: Proxy, authority: string, headers?: Record<string, string>): Promise<[status: number, code: unknown]> {
  const { client, response: { status, headers: { connection }, body } } = await proxy.connect(authority, headers)
  if (status === 200) throw new Error('the tunnel opened')
  if (connection !== 'close' || await client.closed() !== '') throw new Error('the connection is not closed')
  return [status, JSON.parse(body).code]
}

t.test('an open tunnel', async (t) => {
  const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const proxy = await start(t, { prox: PROX }, echo)
  const { client, response } = await proxy.connect('Example.COM:443')
  t.match(response, { status: 200, reason: 'Connection Established', version: '1.1', headers: {} })
  t.same(response.headers, {}, 'no field that a tunnel cannot have (RFC 9110 9.3.6)')
  const { id, ...event } = await opened.next()
  t.match(event, { authority: 'example.com:443', remoteAddress: '127.0.0.1' })

  client.write('GET /a HTTP/1.1\r\nHost: example.com\r\n\r\nGET /b HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n')
  t.equal(JSON.parse((await client.response()).body).tunnel.id, id)
  t.equal((await client.response()).status, 200)
  await client.closed()
  const account = await closed.next()
  t.match(account, { id, authority: 'example.com:443', remoteAddress: '127.0.0.1', requests: 2 })
  t.equal(account.bytesRead, client.socket.bytesWritten)
  t.equal(account.bytesWritten, client.socket.bytesRead)
  t.ok(account.durationMs >= 0)
  t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { level: 'debug', reqId: id, requests: 2, bytesRead: account.bytesRead })
  t.equal(proxy.log.lines.filter(({ msg, reqId }) => msg === 'incoming request' && reqId === id).length, 1)
  t.match(await proxy.log.next(/request completed/), { level: 'info', reqId: id })
})

t.test('targets that are none', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  for (const target of ['a', 'a:', 'a:0', 'a:65536', 'a:99999', 'a:4x', ':443', 'user@a:443', 'http://a/', 'a:443/', '/', '*', '[::1', '[::g]:443', 'a..b:443', '1.2.3:443', '999.1.1.1:443']) {
    const [status] = await refusal(proxy, target)
    t.equal(status, 400, target)
  }
  t.same(await refusal(proxy, 'a:0'), [400, 'FST_PROX_BAD_AUTHORITY'])
  for (const target of ['a:1', 'a:65535', 'a.test.:443', '127.0.0.1:80', '[::1]:443', '::1:443', '[::ffff:1.2.3.4]:443', 'a_b.test:443', `${'a'.repeat(63)}.test:443`]) {
    await proxy.tunnel(target)
    t.pass(target)
  }
})

t.test('content', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  t.same(await refusal(proxy, 'a.test:443', { 'content-length': '3' }), [400, 'FST_PROX_CONNECT_WITH_CONTENT'])
  t.same(await refusal(proxy, 'a.test:443', { 'transfer-encoding': 'chunked' }), [400, 'FST_PROX_CONNECT_WITH_CONTENT'])
  await proxy.tunnel('a.test:443', { 'content-length': '0' })
})

t.test('onConnect', async (t) => {
  let decide: OnConnect = () => {}
  const seen: ConnectContext[] = []
  const onConnect: OnConnect = (context) => {
    seen.push(context)
    return decide(context)
  }
  const proxy = await start(t, { prox: { ...PROX, onConnect } }, echo)

  await proxy.tunnel('Example.com:8443', { 'proxy-authorization': `Basic ${Buffer.from('me:secret').toString('base64')}` })
  const { raw, ...context } = seen[0]!
  t.same(context, {
    authority: 'example.com:8443', hostname: 'example.com', port: 8443, remoteAddress: '127.0.0.1', credentials: { username: 'me', password: 'secret' }, servername: null, tunnel: null
  })
  t.equal(raw.url, 'Example.com:8443')
  t.equal(raw.headers['proxy-authorization'], undefined)

  const allowing: OnConnect[] = [() => undefined, () => null, async () => {}, async () => null]
  for (decide of allowing) await proxy.tunnel('a.test:443')
  const refusing: OnConnect[] = [() => 403, async () => 403]
  for (decide of refusing) t.same(await refusal(proxy, 'a.test:443'), [403, 'FST_PROX_CONNECT_REFUSED'])
  decide = () => 599
  t.equal((await refusal(proxy, 'a.test:443'))[0], 599)

  const throwing: OnConnect[] = [() => { throw new Error('broken') }, async () => { throw new Error('broken') }]
  for (decide of throwing) t.same(await refusal(proxy, 'a.test:443'), [500, undefined])
  decide = () => { throw Object.assign(new Error('teapot'), { statusCode: 418 }) }
  t.same(await refusal(proxy, 'a.test:443'), [418, undefined])

  for (const rubbish of [false, true, 0, 200, 399, 600, 403.5, NaN, '403', {}]) {
    decide = () => rubbish as number
    t.same(await refusal(proxy, 'a.test:443'), [500, 'FST_PROX_BAD_DECISION'], String(rubbish))
  }
  t.match(await proxy.log.next(/onConnect has to answer/), { level: 'error' })
})

t.test('credentials', async (t) => {
  const resolver = Object.assign((url: string) => `/p/${url}`, {
    requireAuth: async ({ credentials }: { credentials: unknown }) => credentials === null ? 'a "realm"' : null
  })
  const proxy = await start(t, { prox: { resolver } }, echo)
  const { response, client } = await proxy.connect('a.test:443')
  t.match(response, { status: 407, headers: { 'proxy-authenticate': 'Basic realm="a \\"realm\\"", charset="UTF-8"', connection: 'close' } })
  await client.closed()
  await proxy.tunnel('a.test:443', { 'proxy-authorization': 'Basic bWU6' })
})

t.test('hooks of the application', async (t) => {
  let status = 200
  const methods: string[] = []
  const proxy = await start(t, { prox: PROX }, (app) => {
    echo(app)
    app.addHook('onRequest', async (request, reply) => {
      methods.push(`${request.method} ${request.url}`)
      if (status !== 200) await reply.code(status).header('www-authenticate', 'Basic').send('x'.repeat(100_000))
    })
    app.addHook('onResponse', async (request) => { methods.push(`done ${request.method}`) })
    app.setErrorHandler(async (err, _request, reply) => await reply.code(418).send({ code: (err as Error).message }))
  })
  await (await proxy.tunnel('a.test:80')).ask('GET', '/x')
  await until(() => methods.length === 4)
  t.same(methods, ['CONNECT a.test:80', 'done CONNECT', 'GET /p/http://a.test/x', 'done GET'])
  t.same(await refusal(proxy, 'nowhere'), [418, 'nowhere is not a host and a port to open a tunnel to'], 'the error handler, set later than the plugin')

  for (status of [401, 403, 429, 503]) {
    const { client, response } = await proxy.connect('a.test:443')
    t.match(response, { status, headers: { 'content-length': '100000', connection: 'close', 'www-authenticate': 'Basic' } })
    t.equal(response.body.length, 100_000, 'whole')
    t.equal(await client.closed(), '')
  }
})

t.test('a hook that opens what is not its own', async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.addHook('onRequest', async (_request, reply) => await reply.code(200).send('hello'))
  })
  const { client, response } = await proxy.connect('a.test:443')
  t.equal(response.status, 200)
  client.write('GET / HTTP/1.1\r\n\r\n')
  t.equal(await client.closed(), 'hello', 'there is no tunnel, and the connection ends')
})

t.test('@fastify/rate-limit', async (t) => {
  const log = new Log()
  const app = Fastify({ loggerInstance: log.logger })
  t.teardown(() => app.close())
  await app.register(rateLimit, { max: 2, timeWindow: 60_000 })
  await app.register(fastifyProx, { ...PROX, ca: { store: new Map() } })
  echo(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const proxy = new Proxy(t, app, log)
  await proxy.tunnel('a.test:443')
  await proxy.tunnel('a.test:443')
  const { response } = await proxy.connect('a.test:443')
  t.match(response, { status: 429, headers: { 'retry-after': /\d/, 'x-ratelimit-remaining': '0' } })
  t.match(JSON.parse(response.body), { statusCode: 429 })
})

t.test('a client that takes its time after a refusal', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, onConnect: () => 403 } }, echo)
  const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  const client = new RawClient(t, socket)
  client.write('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n')
  t.equal((await client.response('CONNECT')).status, 403)
  client.write('more and more')
  await client.closed()
  // It never ends its side, and learns with its next words that nobody listens.
  socket.on('error', () => {})
  const words = setInterval(() => socket.write('more and more'), 50)
  t.teardown(() => clearInterval(words))
  await new Promise((resolve) => socket.on('close', resolve))
  t.pass('it is not waited for')
})

t.test('limits of number', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, limits: { tunnels: 2 } } }, echo)
  const tunnels = [await proxy.tunnel('a.test:80'), await proxy.tunnel('b.test:80')]
  const { response } = await proxy.connect('c.test:80')
  t.match(response, { status: 503, headers: { 'retry-after': '5', connection: 'close' } })
  t.match(JSON.parse(response.body), { code: 'FST_PROX_TOO_MANY_TUNNELS', message: 'Too many tunnels are open: the limit is 2' })
  t.equal((await tunnels[0]!.ask('GET', '/', CLOSE)).status, 200)
  await proxy.log.next(/tunnel to a.test:80 closed/)
  await proxy.tunnel('c.test:80')

  const single = await start(t, { prox: { ...PROX, limits: { tunnelsPerClient: 1 } }, listen: { host: '::', port: 0 } }, echo)
  const from = (localAddress: string): object => ({ host: '127.0.0.1', port: single.port, localAddress })
  const first = await single.tunnel('a.test:80', {}, from('127.0.0.1') as never)
  t.equal((await single.connect('a.test:80', {}, from('127.0.0.1') as never)).response.status, 503)
  await single.tunnel('b.test:80', {}, from('127.0.0.2') as never)
  first.socket.destroy()
  await single.log.next(/tunnel to a.test:80 closed/)
  await single.tunnel('a.test:80', {}, from('127.0.0.1') as never)
})

t.test('a client without an address', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'socket')
  const { app, log } = await create(t, { prox: { ...PROX, limits: { tunnelsPerClient: 1 } } }, echo)
  await app.listen({ path })
  const proxy = new Proxy(t, app, log)
  const tunnels = [await proxy.tunnel('a.test:80'), await proxy.tunnel('a.test:80')]
  for (const tunnel of tunnels) t.equal((await tunnel.ask('GET', '/', CLOSE)).status, 200)
})

t.test('keepAliveMax', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, keepAliveMax: 1 } }, echo)
  const first = await proxy.tunnel('a.test:80')
  t.equal((await first.ask('GET', '/')).headers.connection, 'keep-alive')
  const second = await proxy.tunnel('b.test:80')
  t.equal((await second.ask('GET', '/')).headers.connection, 'close')
  t.equal(await second.closed(), '')
  await proxy.log.next(/tunnel to b.test:80 closed/)
  t.equal((await first.ask('GET', '/')).headers.connection, 'keep-alive')
})

t.test('a client that leaves while a hook waits', async (t) => {
  const sockets: net.Socket[] = []
  let release = (): void => {}
  let released = new Promise<void>((resolve) => { release = resolve })
  const proxy = await start(t, { prox: PROX }, (app) => {
    echo(app)
    app.addHook('onRequest', async ({ method, raw }) => {
      if (method !== 'CONNECT') return
      sockets.push(raw.socket)
      await released
    })
  })
  const waitingClient = async (head = ''): ReturnType<Proxy['client']> => {
    const client = await proxy.client()
    const before = sockets.length
    client.write(`CONNECT left.test:443 HTTP/1.1\r\nHost: left.test\r\n\r\n${head}`)
    await until(() => sockets.length > before)
    return client
  }
  const connections = async (): Promise<number> => await new Promise((resolve) => proxy.app.server.getConnections((_err, count) => resolve(count)))

  const reset = await waitingClient()
  reset.socket.resetAndDestroy()
  await until(async () => await connections() === 0)
  release()
  t.match(await proxy.log.next(/left.test:443: the client left/), { level: 'info' })

  for (const head of ['', '\x16\x03\x01']) {
    released = new Promise((resolve) => { release = resolve })
    const ended = await waitingClient(head)
    const told = once(sockets.at(-1)!, 'end')
    ended.socket.end()
    await told
    release()
    await until(async () => await connections() === 0)
    t.match(proxy.log.lines.at(-1), {
      level: 'debug', msg: 'tunnel to left.test:443 closed: closed by the client before it said what it wants'
    })
  }
})

t.test('behind a request that is not answered yet', async (t) => {
  const pipelined = async (t: Test): Promise<{ proxy: Proxy, client: RawClient<net.Socket>, socket: net.Socket, release: () => void }> => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => { release = resolve })
    const proxy = await start(t, { prox: PROX }, (app) => {
      echo(app)
      app.get('/late', async () => await released.then(() => 'late'))
    })
    const connected = once(proxy.app.server, 'connect') as Promise<[unknown, net.Socket]>
    const client = await proxy.client()
    client.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\nCONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n')
    const [, socket] = await connected
    return { proxy, client, socket, release }
  }

  await t.test('the tunnel opens after the answer', async (t) => {
    const { client, release } = await pipelined(t)
    release()
    t.equal((await client.response()).body, 'late')
    t.equal((await client.response('CONNECT')).status, 200)
    t.match(JSON.parse((await client.ask('GET', '/a')).body), { url: 'http://example.com/a' })
  })

  await t.test('it does not for a client that ends its side', async (t) => {
    const { proxy, client, socket, release } = await pipelined(t)
    const closed = once(socket, 'close')
    client.socket.end()
    await closed
    release()
    t.equal(await client.closed(), '')
    t.equal((await proxy.get('http://example.com/')).status, 200)
    t.strictSame(proxy.log.lines.flatMap(({ req }) => req === undefined ? [] : [(req as FastifyRequest).url]), ['/late', '/p/http://example.com/'])
  })
})

t.test('errors of the socket before a tunnel opens', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, onConnect: () => 403 } }, echo)
  const client = await proxy.client()
  client.write('CONNECT reset.test:443 HTTP/1.1\r\nHost: a\r\n\r\n')
  client.socket.resetAndDestroy()
  await until(async () => await new Promise<number>((resolve) => proxy.app.server.getConnections((_err, count) => resolve(count))) === 0)
  t.equal((await refusal(proxy, 'a.test:443'))[0], 403)
})
