/** Proxy hosts: names that the application answers itself. */
import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import fastifyProx from '../../plugin/index'
import { create, LOOPBACK, start } from '../support/proxy'
import { bodyOf, main, PROX, withApps } from './support'

t.test('the proxy host reaches the application unprefixed', async (t) => {
  const proxy = await start(t, { prox: PROX }, main)
  t.equal(await bodyOf(proxy.get('http://fastify-prox/path/file.html?A=B')), 'main /path/file.html?A=B fastify-prox')
  t.equal(await bodyOf(proxy.get('https://fastify-prox/path/file.html?A=B')), 'main /path/file.html?A=B fastify-prox')
  t.equal(await bodyOf(proxy.get('http://FASTIFY-PROX.:8080/')), 'main / fastify-prox', 'on any port')
  t.equal(await bodyOf(proxy.get('http://other.test/')), 'main /prefix/http://other.test/ fastify-prox')

  const named = await start(t, { prox: { ...PROX, proxyHost: 'My-App.test' } }, main)
  t.equal(await bodyOf(named.get('http://my-app.test/a')), 'main /a my-app.test')
  t.equal(await bodyOf(named.get('http://fastify-prox/a')), 'main /prefix/http://fastify-prox/a my-app.test')
  const download = await named.get('http://my-app.test/download/pem')
  t.match(download, { headers: { 'content-type': 'application/x-x509-ca-cert' } }, 'the downloads move with it')
})

t.test('the download host serves downloads, and is a name of the application for the rest', async (t) => {
  const elsewhere = await start(t, { prox: { ...PROX, downloadHost: 'ca.test' } }, main)
  t.equal((await elsewhere.get('https://ca.test/download/pem')).body, elsewhere.app.proxyCA.certificatePem)
  t.equal(await bodyOf(elsewhere.get('http://fastify-prox/download/pem')), 'main /download/pem fastify-prox')
  t.equal(await bodyOf(elsewhere.get('http://ca.test/other')), 'main /other ca.test')
  const nowhere = await start(t, { prox: { ...PROX, downloadHost: false } }, main)
  t.equal(await bodyOf(nowhere.get('http://fastify-prox/download/pem')), 'main /download/pem fastify-prox')
})

t.test('names of proxy hosts are matched in any spelling, the most specific first', async (t) => {
  const tell: FastifyPluginAsync = async (app) => { app.get('/', async ({ proxy }) => `app ${proxy?.proxyHost}`) }
  const proxy = await withApps(t, {
    'One.Test': tell,
    'two.test.': tell,
    'alias.test': null,
    '*.example.net': tell,
    '*.deep.example.net': tell,
    'exact.example.net': tell,
    '[2001:DB8::1]': tell,
    '192.0.2.1': tell,
    localhost: tell
  })
  const hosts: Array<[host: string, answer: string]> = [
    ['one.test', 'app one.test'],
    ['ONE.test.', 'app one.test'],
    ['one.test:8080', 'app one.test'],
    ['two.test', 'app two.test'],
    ['alias.test', 'main / alias.test'],
    ['a.example.net', 'app *.example.net'],
    ['a.b.example.net', 'app *.example.net'],
    ['a.deep.example.net', 'app *.deep.example.net'],
    ['a.b.deep.example.net', 'app *.deep.example.net'],
    ['deep.example.net', 'app *.example.net'],
    ['exact.example.net', 'app exact.example.net'],
    ['a.exact.example.net', 'app *.example.net'],
    ['example.net', 'main /prefix/http://example.net/ fastify-prox'],
    ['notexample.net', 'main /prefix/http://notexample.net/ fastify-prox'],
    ['a.example.net.test', 'main /prefix/http://a.example.net.test/ fastify-prox'],
    ['sub.one.test', 'main /prefix/http://sub.one.test/ fastify-prox'],
    ['[2001:db8:0::1]', 'app [2001:db8::1]'],
    ['192.0.2.1', 'app 192.0.2.1'],
    ['localhost', 'app localhost']
  ]
  const client = await proxy.client()
  for (const [host, answer] of hosts) {
    t.equal((await client.ask('GET', `http://${host}/`)).body, answer, host)
    if (host.includes(':') && host[0] !== '[') continue
    t.equal((await client.ask('GET', `https://${host}/`)).body, answer.replace('http:', 'https:'), host)
  }
  for (const host of ['one.test', 'a.b.example.net', '192.0.2.1', '[2001:db8::1]']) {
    t.match((await bodyOf((await proxy.tls(`${host}:443`)).ask('GET', '/'))), /^app /, `${host} in a tunnel`)
  }
})

t.test('a route of the application may be for one proxy host', async (t) => {
  const app: FastifyPluginAsync = async (app) => { app.get('/a', async () => 'app') }
  const proxy = await withApps(t, { 'app.test': app }, (app) => {
    const forStripe = { constraints: { proxyHost: 'api.stripe.test' } }
    app.get('/charges', forStripe, async ({ url, proxy }) => `stripe ${url} ${proxy?.proxyHost}`)
    app.get('/wild', { constraints: { proxyHost: '*.Stripe.test' } }, async () => 'wild')
    app.get('/b', { constraints: { proxyHost: 'app.test' } }, async () => 'b of app')
    app.register(async (v1) => {
      v1.get('/', { constraints: { proxyHost: 'api.stripe.test', version: '1.0.0' } }, async () => 'v1')
    }, { prefix: '/v1' })
    main(app)
  })
  const client = await proxy.client()
  const answers: Array<[target: string, body: string]> = [
    ['http://api.stripe.test/charges?a', 'stripe /charges?a api.stripe.test'],
    ['http://api.stripe.test/other', 'main /other api.stripe.test'],
    ['http://other.test/charges', 'main /prefix/http://other.test/charges fastify-prox'],
    ['/charges', 'main /charges undefined'],
    ['http://x.stripe.test/wild', 'wild'],
    ['http://app.test/a', 'app'],
    ['http://app.test/b', 'b of app']
  ]
  for (const [target, body] of answers) t.equal((await client.ask('GET', target)).body, body)
  t.equal((await client.ask('GET', 'http://api.stripe.test/v1', { 'accept-version': '1.x' })).body, 'v1')
  t.equal((await client.ask('GET', 'http://api.stripe.test/v1/', { 'accept-version': '1.x' })).body, 'v1')
  t.match(await (await proxy.tls('api.stripe.test:443')).ask('HEAD', '/charges'), { status: 200, body: '' })

  const created = await create(t)
  const declare = (app: FastifyInstance, proxyHost: unknown) => () => {
    app.get('/', { constraints: { proxyHost } }, main as never)
  }
  t.throws(declare(created.app, 5), {
    code: 'FST_PROX_INVALID_OPTION',
    message: /^The option constraints.proxyHost takes a host name, got 5$/
  })
  t.throws(declare(created.app, 'a b'), {
    code: 'FST_PROX_INVALID_OPTION',
    message: /^The option constraints.proxyHost takes host names/
  })
  await created.app.ready()
  t.throws(declare(Fastify(), 'a'), /No strategy registered for constraint key proxyHost/)
})

t.test('a proxy app may have WebSocket routes', async (t) => {
  const app: fastifyProx.ProxyApp = async (app) => {
    app.get('/socket', { websocket: true }, (socket, request) => {
      socket.on('message', (message) => socket.send(`${request.proxy?.url} ${request.url} ${String(message)}`))
    })
  }
  const main = Fastify()
  t.teardown(() => main.close())
  await main.register(websocket)
  await main.register(fastifyProx, { ...PROX, ca: { store: new Map() }, proxyApps: { 'app.test': app } })
  main.get('/socket', { websocket: true }, (socket) => { socket.send('main') })
  main.get('/prefix/*', { websocket: true }, (socket) => { socket.send('resolved') })
  await main.listen({ port: 0, host: LOOPBACK })
  const { port } = main.server.address() as AddressInfo

  const ask = async (url: string): Promise<string> => {
    const finishRequest = (request: ClientRequest): void => { Object.assign(request, { path: url }).end() }
    const socket = new WebSocket(`ws://${LOOPBACK}:${port}/`, { finishRequest })
    t.teardown(() => socket.terminate())
    socket.on('open', () => socket.send('hello'))
    const [message] = await once(socket, 'message')
    return String(message)
  }
  t.equal(await ask('ws://app.test/socket?a'), 'http://app.test/socket?a /socket?a hello')
  t.equal(await ask('http://app.test/socket'), 'http://app.test/socket /socket hello')
  t.equal(await ask('ws://other.test/socket'), 'resolved')
  t.equal(await ask('/socket'), 'main')
})

t.test('hasRoute and findRoute see the routes of proxy hosts', async (t) => {
  const { app } = await create(t, {
    prox: { proxyApps: { 'App.test': async (app) => { app.get('/in-app/:id', async () => 'app') }, 'none.test': null } }
  }, (app) => {
    app.get('/one', { constraints: { proxyHost: 'One.test', version: '1.0.0' } }, async () => 'one')
    app.get('/main', async () => 'main')
  })
  await app.ready()
  const has = (url: string, constraints?: Record<string, unknown>): boolean => {
    return app.hasRoute({ method: 'GET', url, constraints })
  }
  t.ok(has('/main'))
  t.notOk(has('/in-app/:id'))
  t.ok(has('/in-app/:id', { proxyHost: 'app.test' }))
  t.ok(has('/in-app/:id', { proxyHost: 'APP.test.' }), 'in any spelling')
  t.notOk(has('/main', { proxyHost: 'app.test' }))
  t.notOk(has('/main', { proxyHost: 'none.test' }))
  t.notOk(has('/main', { proxyHost: 'unknown.test' }))
  t.ok(has('/one', { proxyHost: 'one.test', version: '1.0.0' }))
  t.notOk(has('/one', { proxyHost: 'one.test' }))
  t.notOk(has('/one'))
  const find = (url: string): unknown => app.findRoute({ method: 'GET', url, constraints: { proxyHost: 'app.test' } })
  t.match(find('/in-app/:id'), { params: { id: ':id' } })
  t.equal(find('/main'), null)
  t.throws(() => has('/main', { proxyHost: 5 }), { code: 'FST_PROX_INVALID_OPTION' })
})
