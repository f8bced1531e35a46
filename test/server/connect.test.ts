/** CONNECT as a request: who may open a tunnel, how it is refused, what the log says of it. */
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import t from 'tap'
import fastifyProx from '../../plugin/index'
import type { TunnelClosed, TunnelEvent } from '../../types/events'
import type { ConnectContext, OnConnect } from '../../types/options'
import { basic } from '../support/basic'
import { Log } from '../support/log'
import { Proxy, start } from '../support/proxy'
import { jsonOf } from '../support/raw'
import { echo, PROX, recorded, until } from '../tunnel/support'
import { refusal } from './support'

const NO_AUTHORITIES = [
  'a', 'a:', 'a:0', 'a:65536', 'a:99999', 'a:4x', ':443', 'user@a:443', 'http://a/', 'a:443/', '/', '*', '[::1',
  '[::g]:443', 'a..b:443', '1.2.3:443', '999.1.1.1:443'
]

const AUTHORITIES = [
  'a:1', 'a:65535', 'a.test.:443', '127.0.0.1:80', '[::1]:443', '::1:443', '[::ffff:1.2.3.4]:443', 'a_b.test:443',
  `${'a'.repeat(63)}.test:443`
]

t.test('a tunnel that opens is told on the channels, in the log and to its requests', async (t) => {
  const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const proxy = await start(t, { prox: PROX }, echo)
  const { client, response } = await proxy.connect('Example.COM:443')
  t.match(response, { status: 200, reason: 'Connection Established', version: '1.1', headers: {} })
  t.same(response.headers, {}, 'no field that a tunnel cannot have (RFC 9110 9.3.6)')
  const { id, ...event } = await opened.next()
  t.match(event, { authority: 'example.com:443', remoteAddress: '127.0.0.1' })

  client.write('GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n' +
    'GET /b HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n')
  t.match(await jsonOf(client.response()), { tunnel: { id } })
  t.equal((await client.response()).status, 200)
  await client.closed()
  const account = await closed.next()
  t.match(account, { id, authority: 'example.com:443', remoteAddress: '127.0.0.1', requests: 2 })
  t.equal(account.bytesRead, client.socket.bytesWritten)
  t.equal(account.bytesWritten, client.socket.bytesRead)
  t.ok(account.durationMs >= 0)
  const { bytesRead } = account
  const line = await proxy.log.next(/tunnel to example.com:443 closed/)
  t.match(line, { level: 'debug', reqId: id, requests: 2, bytesRead })
  t.equal(proxy.log.lines.filter(({ msg, reqId }) => msg === 'incoming request' && reqId === id).length, 1)
  t.match(await proxy.log.next(/request completed/), { level: 'info', reqId: id })
})

t.test('a target that is no host and port is refused', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  for (const target of NO_AUTHORITIES) {
    const [status] = await refusal(proxy, target)
    t.equal(status, 400, target)
  }
  t.same(await refusal(proxy, 'a:0'), [400, 'FST_PROX_BAD_AUTHORITY'])
  for (const target of AUTHORITIES) {
    await proxy.tunnel(target)
    t.pass(target)
  }
})

t.test('a CONNECT with content is refused', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const refused = [400, 'FST_PROX_CONNECT_WITH_CONTENT']
  t.same(await refusal(proxy, 'a.test:443', { 'content-length': '3' }), refused)
  t.same(await refusal(proxy, 'a.test:443', { 'transfer-encoding': 'chunked' }), refused)
  await proxy.tunnel('a.test:443', { 'content-length': '0' })
})

t.test('onConnect opens a tunnel or refuses it, now or later, and nothing else', async (t) => {
  let decide: OnConnect = () => {}
  const seen: ConnectContext[] = []
  const onConnect: OnConnect = (context) => {
    seen.push(context)
    return decide(context)
  }
  const proxy = await start(t, { prox: { ...PROX, onConnect } }, echo)

  await proxy.tunnel('Example.com:8443', basic('me:secret'))
  const { raw, ...context } = seen[0]!
  t.same(context, {
    authority: 'example.com:8443',
    hostname: 'example.com',
    port: 8443,
    remoteAddress: '127.0.0.1',
    credentials: { username: 'me', password: 'secret' },
    servername: null,
    tunnel: null
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

t.test('a resolver that asks for credentials asks for those of a CONNECT', async (t) => {
  const resolver = Object.assign((url: string) => `/p/${url}`, {
    requireAuth: async ({ credentials }: { credentials: unknown }) => credentials === null ? 'a "realm"' : null
  })
  const proxy = await start(t, { prox: { resolver } }, echo)
  const { response, client } = await proxy.connect('a.test:443')
  t.match(response, {
    status: 407,
    headers: { 'proxy-authenticate': 'Basic realm="a \\"realm\\"", charset="UTF-8"', connection: 'close' }
  })
  await client.closed()
  await proxy.tunnel('a.test:443', { 'proxy-authorization': 'Basic bWU6' })
})

t.test('hooks of the application run for a CONNECT, and refuse it by an answer', async (t) => {
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
  const failed = [418, 'nowhere is not a host and a port to open a tunnel to']
  t.same(await refusal(proxy, 'nowhere'), failed, 'the error handler, set later than the plugin')

  for (status of [401, 403, 429, 503]) {
    const { client, response } = await proxy.connect('a.test:443')
    const headers = { 'content-length': '100000', connection: 'close', 'www-authenticate': 'Basic' }
    t.match(response, { status, headers })
    t.equal(response.body.length, 100_000, 'whole')
    t.equal(await client.closed(), '')
  }
})

t.test('a hook that answers 200 opens no tunnel', async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.addHook('onRequest', async (_request, reply) => await reply.code(200).send('hello'))
  })
  const { client, response } = await proxy.connect('a.test:443')
  t.equal(response.status, 200)
  client.write('GET / HTTP/1.1\r\n\r\n')
  t.equal(await client.closed(), 'hello', 'there is no tunnel, and the connection ends')
})

t.test('@fastify/rate-limit counts tunnels', async (t) => {
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
