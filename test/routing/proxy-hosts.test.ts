/** Proxy hosts: names that the application answers itself, and proxy apps with contexts of their own. */
import { once } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import fastifyProx from '../../plugin/index'
import { OLDEST } from '../support/oldest'
import { create, LOOPBACK, start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawResponse } from '../support/raw'

type Apps = NonNullable<fastifyProx.FastifyProxOptions['proxyApps']>

const PROX = { resolver: '/prefix/' }

/** The main application answers everything, and says so. */
function main (app: FastifyInstance): void {
  app.all('/*', async ({ url, proxy }) => `main ${url} ${proxy?.proxyHost}`)
}

async function withApps (t: Test, proxyApps: Apps, setup = main): Promise<Proxy> {
  return await start(t, { prox: { ...PROX, proxyApps } }, setup)
}

async function bodyOf (answer: Promise<RawResponse>): Promise<string> {
  return (await answer).body
}

t.test('the proxy host reaches the application unprefixed', async (t) => {
  const proxy = await start(t, { prox: PROX }, main)
  t.equal(await bodyOf(proxy.get('http://fastify-prox/path/file.html?A=B')), 'main /path/file.html?A=B fastify-prox')
  t.equal(await bodyOf(proxy.get('https://fastify-prox/path/file.html?A=B')), 'main /path/file.html?A=B fastify-prox')
  t.equal(await bodyOf(proxy.get('http://FASTIFY-PROX.:8080/')), 'main / fastify-prox', 'on any port')
  t.equal(await bodyOf(proxy.get('http://other.test/')), 'main /prefix/http://other.test/ fastify-prox')

  const named = await start(t, { prox: { ...PROX, proxyHost: 'My-App.test' } }, main)
  t.equal(await bodyOf(named.get('http://my-app.test/a')), 'main /a my-app.test')
  t.equal(await bodyOf(named.get('http://fastify-prox/a')), 'main /prefix/http://fastify-prox/a my-app.test')
  t.match(await named.get('http://my-app.test/download/pem'), { headers: { 'content-type': 'application/x-x509-ca-cert' } }, 'the downloads move with it')
})

t.test('the download host', async (t) => {
  const elsewhere = await start(t, { prox: { ...PROX, downloadHost: 'ca.test' } }, main)
  t.equal((await elsewhere.get('https://ca.test/download/pem')).body, elsewhere.app.proxyCA.certificatePem)
  t.equal(await bodyOf(elsewhere.get('http://fastify-prox/download/pem')), 'main /download/pem fastify-prox')
  t.equal(await bodyOf(elsewhere.get('http://ca.test/other')), 'main /other ca.test', 'is a name of the application for the rest')
  const nowhere = await start(t, { prox: { ...PROX, downloadHost: false } }, main)
  t.equal(await bodyOf(nowhere.get('http://fastify-prox/download/pem')), 'main /download/pem fastify-prox')
})

t.test('names', async (t) => {
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
    if (!host.includes(':') || host[0] === '[') t.equal((await client.ask('GET', `https://${host}/`)).body, answer.replace('http:', 'https:'), host)
  }
  for (const host of ['one.test', 'a.b.example.net', '192.0.2.1', '[2001:db8::1]']) {
    t.match((await bodyOf((await proxy.tls(`${host}:443`)).ask('GET', '/'))), /^app /, `${host} in a tunnel`)
  }
})

t.test('a proxy app', async (t) => {
  t.test('comes first, whatever the more specific paths of the application', async (t) => {
    const proxy = await withApps(t, {
      'wild.test': async (app) => { app.get('/*', async ({ url }) => `wild ${url}`) },
      'some.test': async (app) => {
        app.get('/a/:id', async ({ params }) => params)
        app.post('/only-post', async () => 'posted')
      }
    }, (app) => {
      app.get('/a/static', async () => 'main a static')
      app.get('/a/:id/b', async () => 'main a b')
      app.get('/only-post', async () => 'main only-post')
      main(app)
    })
    t.equal(await bodyOf(proxy.get('http://wild.test/a/static')), 'wild /a/static')
    t.equal(await bodyOf(proxy.get('http://wild.test/a/1/b?c')), 'wild /a/1/b?c')
    t.equal(await bodyOf(proxy.get('https://wild.test/')), 'wild /')
    t.equal(await bodyOf(proxy.get('http://some.test/a/static')), '{"id":"static"}')
    t.equal(await bodyOf(proxy.get('http://some.test/a/1/b')), 'main a b', 'the application has what the app has not')
    t.equal(await bodyOf(proxy.get('http://some.test/x')), 'main /x some.test')
    t.equal(await bodyOf(proxy.get('http://some.test/only-post')), 'main only-post', 'by method')
    t.equal(await bodyOf(proxy.ask('POST', 'http://some.test/only-post')), 'posted')
    t.equal(await bodyOf(proxy.ask('POST', 'http://wild.test/a')), 'main /a wild.test')
  })

  t.test('is out of reach for direct requests and other hosts', async (t) => {
    const proxy = await withApps(t, { 'app.test': async (app) => { app.all('/secret', async () => 'secret') } }, (app) => {
      app.setNotFoundHandler(async (request, reply) => { reply.code(404).send('main 404') })
    })
    const client = await proxy.client()
    const requests: Array<[target: string, headers: Record<string, string>]> = [
      ['/secret', { host: 'app.test' }],
      ['http://other.test/secret', { host: 'app.test' }],
      ['http://fastify-prox/secret', {}],
      ...[0, 1, 2, 3, 4, 5].map((n): [string, Record<string, string>] => [`/~fastify-prox/${n}/secret`, { host: 'app.test', proxyhost: 'app.test' }]),
      ...[0, 1, 2, 3, 4, 5].map((n): [string, Record<string, string>] => [`http://other.test/~fastify-prox/${n}/secret`, {}]),
      ...[0, 1, 2, 3, 4, 5].map((n): [string, Record<string, string>] => [`http://app.test/~fastify-prox/${n}/secret`, {}])
    ]
    for (const [target, headers] of requests) t.match(await client.ask('GET', target, headers), { status: 404, body: 'main 404' }, target)
    t.equal((await proxy.app.inject({ url: 'http://app.test/secret' })).statusCode, 404)
    t.equal((await client.ask('GET', 'http://app.test/secret')).body, 'secret')
  })

  t.test('has a context of its own', async (t) => {
    const order: string[] = []
    const app = (name: string): FastifyPluginAsync => async (app) => {
      app.decorate('name', name)
      app.decorateRequest('mark', '')
      app.addHook('onRequest', async (request) => { order.push(name) })
      app.addHook('onSend', async (request, reply, payload) => `${String(payload)}|${name}`)
      app.setErrorHandler(async (err: Error, _request, reply) => {
        reply.code(418)
        return `${name} handled ${err.message}`
      })
      app.addContentTypeParser('text/x', { parseAs: 'string' }, (_request, body, done) => done(null, `${name} parsed ${String(body)}`))
      app.get('/', async function () { return (this as unknown as { name: string }).name })
      app.get('/throw', async () => { throw new Error('it') })
      app.post('/', async ({ body }) => body)
      app.get('/schema', { schema: { querystring: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] } } }, async ({ query }) => query)
    }
    const proxy = await withApps(t, { 'a.test': app('a'), 'b.test': app('b') }, (app) => {
      app.addHook('onRequest', async () => { order.push('main') })
      app.get('/throw', async () => { throw new Error('in main') })
      main(app)
    })
    t.notOk('name' in proxy.app)
    for (const name of ['a', 'b']) {
      t.equal(await bodyOf(proxy.get(`http://${name}.test/`)), `${name}|${name}`)
      t.match(await proxy.get(`http://${name}.test/throw`), { status: 418, body: `${name} handled it|${name}` })
      t.equal(await bodyOf(proxy.ask('POST', `http://${name}.test/`, { 'content-type': 'text/x' }, 'text')), `${name} parsed text|${name}`)
      t.equal(await bodyOf(proxy.get(`http://${name}.test/schema?n=5`)), `{"n":5}|${name}`)
      t.match(await proxy.get(`http://${name}.test/schema?n=x`), { status: 418, body: new RegExp(`^${name} handled querystring`) })
    }
    order.length = 0
    t.match(await proxy.get('http://a.test/elsewhere'), { body: 'main /elsewhere a.test' })
    t.match(await proxy.get('http://fastify-prox/throw'), { status: 500, body: /in main/ })
    t.strictSame(order, ['main', 'main'], 'hooks of apps are for their routes')
    await proxy.get('http://a.test/')
    t.strictSame(order.slice(2).sort(), ['a', 'main'], 'hooks of the application are for all')
  })

  t.test('may have prefixes, versions, hosts, HEAD and OPTIONS', async (t) => {
    const proxy = await withApps(t, {
      'api.test': async (app) => {
        app.register(async (v1) => {
          v1.get('/', async ({ url, routeOptions }) => `v1 ${url} ${routeOptions.url}`)
          v1.get('/charges', async ({ url, routeOptions }) => `v1 charges ${url} ${routeOptions.url}`)
          v1.register(async (deep) => { deep.get('/', { prefixTrailingSlash: 'no-slash' }, async () => 'no slash') }, { prefix: '/no-slash' })
          v1.register(async (deep) => { deep.get('/', { prefixTrailingSlash: 'slash' }, async () => 'slash') }, { prefix: '/slash' })
        }, { prefix: '/v1' })
        app.get('/version', { constraints: { version: '1.2.0' } }, async () => 'version 1')
        app.get('/version', { constraints: { version: '2.0.0' } }, async () => 'version 2')
        app.options('/v1', async () => 'options')
        app.get('/optional/:a?', async ({ params }) => params)
        app.get('/regexp/:n(^\\d+$)', async ({ params }) => params)
        app.get('*', async ({ url }) => `star ${url}`)
      },
      '*.tenants.test': async (app) => {
        app.get('/', { constraints: { host: 'a.tenants.test' } }, async () => 'a')
        app.get('/', { constraints: { host: /^b\./ } }, async () => 'b')
        app.get('/only', { constraints: { host: 'a.tenants.test' } }, async () => 'only a')
        app.get('/', async () => 'any')
      }
    })
    t.equal(await bodyOf(proxy.get('http://api.test/v1')), 'v1 /v1 /v1')
    t.equal(await bodyOf(proxy.get('http://api.test/v1/?a')), `v1 /v1/?a ${OLDEST ? '/v1/' : '/v1'}`)
    t.equal(await bodyOf(proxy.get('http://api.test/v1/charges')), 'v1 charges /v1/charges /v1/charges')
    t.equal(await bodyOf(proxy.get('http://api.test/v1/no-slash')), 'no slash')
    t.equal(await bodyOf(proxy.get('http://api.test/v1/no-slash/')), 'star /v1/no-slash/')
    t.equal(await bodyOf(proxy.get('http://api.test/v1/slash/')), 'slash')
    t.equal(await bodyOf(proxy.get('http://api.test/v1/slash')), 'star /v1/slash')
    t.equal(await bodyOf(proxy.get('http://api.test/version', { 'accept-version': '1.x' })), 'version 1')
    t.equal(await bodyOf(proxy.get('http://api.test/version', { 'accept-version': '2.0.0' })), 'version 2')
    t.equal(await bodyOf(proxy.get('http://api.test/version')), 'star /version')
    t.equal(await bodyOf(proxy.ask('OPTIONS', 'http://api.test/v1')), 'options')
    t.match(await proxy.ask('HEAD', 'https://api.test/v1/charges'), { status: 200, body: '', headers: { 'content-length': '34' } })
    t.equal(await bodyOf(proxy.get('http://api.test/optional')), '{}')
    t.equal(await bodyOf(proxy.get('http://api.test/optional/1')), '{"a":"1"}')
    t.equal(await bodyOf(proxy.get('http://api.test/regexp/12')), '{"n":"12"}')
    t.equal(await bodyOf(proxy.get('http://api.test/regexp/x')), 'star /regexp/x')
    t.equal(await bodyOf(proxy.get('http://a.tenants.test/')), 'a')
    t.equal(await bodyOf(proxy.get('http://b.tenants.test/')), 'b')
    t.equal(await bodyOf(proxy.get('https://c.tenants.test/')), 'any')
    t.equal(await bodyOf(proxy.get('http://a.tenants.test/only')), 'only a')
    t.equal(await bodyOf(proxy.get('http://c.tenants.test/only')), 'main /only *.tenants.test')
  })

  t.test('may have the same routes as any number of others', async (t) => {
    const names = Array.from({ length: 40 }, (_, n) => `app-${n}.test`)
    const proxy = await withApps(t, Object.fromEntries(names.map((name): [string, FastifyPluginAsync] => [name, async (app) => {
      app.get('/', async () => name)
      app.get('/*', async ({ url }) => `${name} ${url}`)
      app.register(async (v1) => { v1.get('/', async () => `${name} v1`) }, { prefix: '/v1' })
    }])))
    const client = await proxy.client()
    for (const name of names) {
      t.equal((await client.ask('GET', `http://${name}/`)).body, name)
      t.equal((await client.ask('GET', `http://${name}/v1`)).body, `${name} v1`)
      t.equal((await client.ask('GET', `http://${name}/v1/`)).body, `${name} v1`)
      t.equal((await client.ask('GET', `http://${name}/a/b`)).body, `${name} /a/b`)
    }
  })

  t.test('may be whatever register takes', async (t) => {
    const plugin: FastifyPluginAsync = async (app) => { app.get('/', async () => 'app') }
    const proxy = await withApps(t, {
      'module.test': { default: plugin },
      'promise.test': Promise.resolve(plugin),
      'import.test': Promise.resolve({ default: plugin }),
      'wrapped.test': fp(plugin)
    })
    for (const name of ['module', 'promise', 'import', 'wrapped']) t.equal(await bodyOf(proxy.get(`http://${name}.test/`)), 'app', name)
  })

  t.test('may be a callback plugin, and fail to load', async (t) => {
    const proxy = await withApps(t, {
      'app.test': (app, _options, done) => {
        app.get('/', async () => 'callback')
        done()
      }
    })
    t.equal(await bodyOf(proxy.get('http://app.test/')), 'callback')
    await t.rejects(create(t, { prox: { proxyApps: { a: async () => { throw new Error('cannot load') } } } }).then(({ app }) => app.ready()), /cannot load/)
    await t.rejects(create(t, { prox: { proxyApps: { a: async (app) => { app.get('/a', main as never).get('/a', main as never) } } } }).then(({ app }) => app.ready()), {
      code: 'FST_ERR_DUPLICATED_ROUTE', message: "The proxy host a has a route for GET '/a' already"
    })
  })

  t.test('may share the proxy host and the download host', async (t) => {
    const proxy = await withApps(t, { 'fastify-prox': async (app) => { app.get('/mine', async () => 'mine') } })
    t.equal(await bodyOf(proxy.get('http://fastify-prox/mine')), 'mine')
    t.equal((await proxy.get('http://fastify-prox/download/pem')).status, 200)
    t.equal(await bodyOf(proxy.get('http://fastify-prox/other')), 'main /other fastify-prox')
  })
})

t.test('the not-found handler of a proxy app', async (t) => {
  t.test('is for what it has no route for', async (t) => {
    const proxy = await withApps(t, {
      'app.test': async (app) => {
        app.setNotFoundHandler(async ({ method, url }, reply) => reply.code(404).send(`app has no ${method} ${url}`))
        app.get('/a', async () => 'a')
        app.get('/call', async (_request, reply) => reply.callNotFound())
        app.get('/call-sync', (_request, reply) => { reply.callNotFound() })
        app.register(async (v1) => {
          v1.setNotFoundHandler(
            { preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-pre', '1') } },
            (request, reply) => { reply.code(404).send(`v1 has no ${request.url}`) })
          v1.get('/a', async () => 'v1 a')
          v1.get('/call', async (_request, reply) => reply.callNotFound())
        }, { prefix: '/v1' })
        app.register(async (v2) => { v2.setNotFoundHandler(async (_request, reply) => reply.code(404).send('v2')) }, { prefix: '/v2/' })
      },
      // Fastify takes this for its own handler; its types do not know.
      'plain.test': async (app: { setNotFoundHandler: Function }) => { app.setNotFoundHandler() },
      'full.test': async (app) => {
        app.setNotFoundHandler(() => { throw Object.assign(new Error('even so'), { statusCode: 410 }) })
        app.get('/*', async (_request, reply) => reply.callNotFound())
        app.get('/loop', async (_request, reply) => reply.callNotFound())
      },
      'loop.test': async (app) => {
        app.setNotFoundHandler(async (_request, reply) => reply.callNotFound())
      },
      'value.test': async (app) => {
        app.setNotFoundHandler(async (_request, reply) => {
          reply.code(404)
          return { nothing: 'here' }
        })
        app.get('/call', (_request, reply) => { reply.callNotFound() })
      },
      'none.test': async (app) => { app.get('/call', async (_request, reply) => reply.callNotFound()) }
    }, (app) => { app.setNotFoundHandler(async ({ url }, reply) => reply.code(404).send(`main has no ${url}`)) })
    const answers: Array<[target: string, status: number, body: string]> = [
      ['http://app.test/a', 200, 'a'],
      ['http://app.test/b', 404, 'app has no GET /b'],
      ['http://app.test/', 404, 'app has no GET /'],
      ['http://app.test/call', 404, 'app has no GET /call'],
      ['http://app.test/call-sync', 404, 'app has no GET /call-sync'],
      ['http://app.test/v1/a', 200, 'v1 a'],
      ['http://app.test/v1/b', 404, 'v1 has no /v1/b'],
      ['http://app.test/v1', 404, 'v1 has no /v1'],
      ['http://app.test/v1/', 404, 'v1 has no /v1/'],
      ['http://app.test/v1/call', 404, 'v1 has no /v1/call'],
      ['http://app.test/v1x', 404, 'app has no GET /v1x'],
      ['http://app.test/v2/b', 404, 'v2'],
      ['http://plain.test/b', 404, '{"message":"Route GET:/b not found","error":"Not Found","statusCode":404}'],
      ['http://full.test/b', 410, '{"statusCode":410,"error":"Gone","message":"even so"}'],
      ['http://loop.test/b', 404, '404 Not Found'],
      ['http://value.test/b', 404, '{"nothing":"here"}'],
      ['http://value.test/call', 404, '{"nothing":"here"}'],
      ['http://none.test/call', 404, 'main has no /call'],
      ['http://none.test/b', 404, 'main has no /b'],
      ['http://other.test/b', 404, 'main has no /prefix/http://other.test/b'],
      ['/b', 404, 'main has no /b']
    ]
    const client = await proxy.client()
    for (const [target, status, body] of answers) t.match(await client.ask('GET', target), { status, body }, target)
    t.equal((await client.ask('DELETE', 'http://app.test/a')).body, 'app has no DELETE /a')
    t.match(await client.ask('GET', 'http://app.test/v1/b'), { headers: { 'x-pre': '1' } })
    t.match(await client.ask('HEAD', 'http://app.test/b'), { status: 404, body: '' })
    t.equal((await client.ask('DELETE', 'http://full.test/b')).status, 410, 'the methods that the app has no catch-all for')
  })
})

t.test('routes of the application for one proxy host', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, proxyApps: { 'app.test': async (app) => { app.get('/a', async () => 'app') } } } }, (app) => {
    app.get('/charges', { constraints: { proxyHost: 'api.stripe.test' } }, async ({ url, proxy }) => `stripe ${url} ${proxy?.proxyHost}`)
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

  const { app } = await create(t)
  t.throws(() => app.get('/', { constraints: { proxyHost: 5 } }, main as never), { code: 'FST_PROX_INVALID_OPTION', message: /^The option constraints.proxyHost takes a host name, got 5$/ })
  t.throws(() => app.get('/', { constraints: { proxyHost: 'a b' } }, main as never), { code: 'FST_PROX_INVALID_OPTION', message: /^The option constraints.proxyHost takes host names/ })
  await app.ready()
  const early = Fastify()
  t.throws(() => early.get('/', { constraints: { proxyHost: 'a' } }, main as never), /No strategy registered for constraint key proxyHost/)
})

t.test('WebSocket routes of a proxy app', async (t) => {
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
  const has = (url: string, constraints?: Record<string, unknown>): boolean => app.hasRoute({ method: 'GET', url, constraints })
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
  t.match(app.findRoute({ method: 'GET', url: '/in-app/:id', constraints: { proxyHost: 'app.test' } }), { params: { id: ':id' } })
  t.equal(app.findRoute({ method: 'GET', url: '/main', constraints: { proxyHost: 'app.test' } }), null)
  t.throws(() => has('/main', { proxyHost: 5 }), { code: 'FST_PROX_INVALID_OPTION' })
})
