import { Readable } from 'node:stream'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import fastifyProx from '../../plugin/index'
import { basic } from '../support/basic'
import { create, start } from '../support/proxy'

/** A route that answers with what an injected request has in common with one that a client sends. */
function tellCommon (app: FastifyInstance): void {
  app.all('/prefix/*', async ({ method, url, headers, protocol, hostname, ip, body, proxy, raw }) => ({
    method,
    url,
    host: headers.host,
    secret: headers['proxy-authorization'] ?? null,
    protocol,
    encrypted: 'encrypted' in raw.socket && raw.socket.encrypted,
    hostname,
    ip,
    body: body ?? null,
    proxy
  }))
}

const PROX = { resolver: '/prefix/' }

t.test('looks like the request of a client with a socket', async (t) => {
  const proxy = await start(t, { prox: PROX }, tellCommon)
  for (const url of [
    'http://example.com/a?b=1', 'http://example.com', 'http://[::1]:8080/', 'https://example.com/a?b=1',
    'https://example.com:8443/%C3%BC', 'https://192.0.2.1/'
  ]) {
    const injected = (await proxy.app.injectProxy(url)).json()
    const sent = JSON.parse((await proxy.get(url)).body)
    for (const { proxy: { tunnel } } of [injected, sent]) {
      if (tunnel === null) continue
      t.type(tunnel.id, 'string')
      delete tunnel.id
      // The client here asks for no protocol by ALPN.
      delete tunnel.alpn
    }
    t.strictSame(injected, sent, url)
  }
  const tunnel = async () => (await proxy.app.injectProxy('https://example.com/')).json().proxy.tunnel
  const tunnels = await Promise.all([tunnel(), tunnel()])
  t.not(tunnels[0].id, tunnels[1].id, 'a tunnel each')
  t.equal(tunnels[0].alpn, 'http/1.1')
})

t.test('takes what inject takes', async (t) => {
  const { app } = await create(t, { prox: PROX }, tellCommon)
  const post: InjectOptions['method'] = 'POST'
  const remoteAddress = '192.0.2.7'
  const json = await app.injectProxy({
    method: post,
    url: new URL('https://example.com/a?b=1'),
    query: { c: '2' },
    headers: { 'x-a': '1' },
    payload: { d: 3 },
    remoteAddress
  })
  t.match(json.json(), {
    method: 'POST',
    url: '/prefix/https://example.com/a?b=1&c=2',
    body: { d: 3 },
    ip: remoteAddress,
    proxy: { tunnel: { remoteAddress } }
  })
  t.match((await app.injectProxy(new URL('http://example.com/'))).json(), { url: '/prefix/http://example.com/' })

  const headers = { 'content-type': 'text/plain' }
  const payload = Readable.from(['a', 'b'])
  const streamed = await app.injectProxy({ method: 'PUT', url: 'http://example.com/', headers, payload })
  t.match(streamed.json(), { method: 'PUT', body: 'ab' })
  const response = await app.injectProxy({ url: 'http://example.com/', payloadAsStream: true })
  t.match(JSON.parse(Buffer.concat(await response.stream().toArray()).toString()), { method: 'GET' })
})

t.test('waits until the instance is ready, in both styles', async (t) => {
  const { app } = await create(t, { prox: PROX }, tellCommon)
  let ready = false
  app.addHook('onReady', async () => { ready = true })
  t.equal((await app.injectProxy('https://example.com/')).statusCode, 200)
  t.ok(ready)

  const response = await new Promise<LightMyRequestResponse | undefined>((resolve, reject) => {
    const answer: void = app.injectProxy('https://example.com/', (err, response) => {
      if (err) reject(err)
      else resolve(response)
    })
    t.equal(answer, undefined)
  })
  t.equal(response?.statusCode, 200)

  const broken = await create(t, { prox: PROX })
  broken.app.addHook('onReady', async () => { throw new Error('not today') })
  await t.rejects(broken.app.injectProxy('http://example.com/'), { message: 'not today' })
  const err = await new Promise((resolve) => { broken.app.injectProxy('http://example.com/', resolve) })
  t.match(err, { message: 'not today' })
})

t.test('runs hooks once, and fails as other requests do', async (t) => {
  const resolver = (url: string): string => {
    if (url.includes('bad')) throw new Error('no such site')
    return `/prefix/${url}`
  }
  const { app, log } = await create(t, { prox: { resolver } })
  const hooks: string[] = []
  app.addHook('onRequest', async (request) => { hooks.push(`onRequest ${request.url}`) })
  app.addHook('onResponse', async (request) => { hooks.push(`onResponse ${request.url}`) })
  tellCommon(app)
  await app.injectProxy('https://example.com/a')
  t.strictSame(hooks, ['onRequest /prefix/https://example.com/a', 'onResponse /prefix/https://example.com/a'])
  t.equal(log.count(/incoming request/), 1)

  for (const url of ['http://bad.example/', 'https://bad.example/']) {
    const response = await app.injectProxy(url)
    t.equal(response.statusCode, 500, url)
    t.match(response.json(), { message: 'no such site' })
  }
  t.match((await app.injectProxy('http://a..b/')).json(), { statusCode: 400, code: 'FST_PROX_BAD_TARGET' })
  t.match((await app.injectProxy('https://a..b/')).json(), { statusCode: 400, code: 'FST_PROX_BAD_AUTHORITY' })
})

t.test('reaches proxy hosts', async (t) => {
  const host = 'api.example.com'
  const api = async (api: FastifyInstance): Promise<void> => {
    api.get('/v1/*', async ({ url, proxy }) => ({ url, host: proxy?.proxyHost }))
  }
  const { app } = await create(t, { prox: { ...PROX, proxyApps: { [host]: api } } }, tellCommon)
  t.strictSame((await app.injectProxy(`https://${host}/v1/a?b`)).json(), { url: '/v1/a?b', host })
  t.equal((await app.injectProxy('http://fastify-prox/download/pem')).body, app.proxyCA.certificatePem)
  t.equal((await app.inject('/v1/a')).statusCode, 404)
})

t.test('is asked for credentials, for http and https', async (t) => {
  const { app } = await create(t, { prox: { resolver: fastifyProx.proxyAuthResolver({ realm: 'who?' }) } }, (app) => {
    app.get('/:user/*', async ({ url, proxy, headers }) => {
      return { url, username: proxy?.username, seen: headers['proxy-authorization'] ?? null }
    })
  })
  for (const url of ['http://example.com/', 'https://example.com/']) {
    const refused = await app.injectProxy(url)
    t.equal(refused.statusCode, 407, url)
    t.equal(refused.headers['proxy-authenticate'], 'Basic realm="who?", charset="UTF-8"')
    const headers = basic('jane:secret')
    const seen = { url: `/jane/${url}`, username: 'jane', seen: null }
    t.strictSame((await app.injectProxy({ url, headers })).json(), seen)
  }
})

t.test('takes absolute URLs only, and says so', async (t) => {
  const { app } = await create(t, { prox: PROX }, tellCommon)
  const urls = [
    '/a', 'example.com', '', 'ftp://example.com/', 'wss://example.com/', 'https://user:secret@example.com/',
    'http://user@example.com/', 'http://:secret@example.com/', undefined, null, 5
  ]
  const message = /option url takes an absolute URL with http: or https: and without credentials, got /
  for (const url of urls) {
    t.throws(() => app.injectProxy({ url: url as string }), { code: 'FST_PROX_INVALID_OPTION', message }, String(url))
    t.throws(() => app.injectProxy(url as string), { code: 'FST_PROX_INVALID_OPTION', message }, String(url))
  }
  t.throws(() => (app.injectProxy as unknown as () => void)(), { message: /got undefined$/ })
  t.throws(() => app.injectProxy({ method: 'POST' } as never), { message: /got undefined$/ })
})
