/** Proxy apps: plugins that answer a host, with contexts of their own. */
import fp from 'fastify-plugin'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { create } from '../support/proxy'
import { bodyOf, main, withApps } from './support'

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
    const secret: FastifyPluginAsync = async (app) => { app.all('/secret', async () => 'secret') }
    const proxy = await withApps(t, { 'app.test': secret }, (app) => {
      app.setNotFoundHandler(async (request, reply) => { reply.code(404).send('main 404') })
    })
    const client = await proxy.client()
    const forged = [0, 1, 2, 3, 4, 5].map((n) => `/~fastify-prox/${n}/secret`)
    const requests: Array<[target: string, headers: Record<string, string>]> = [
      ['/secret', { host: 'app.test' }],
      ['http://other.test/secret', { host: 'app.test' }],
      ['http://fastify-prox/secret', {}]
    ]
    for (const path of forged) {
      requests.push([path, { host: 'app.test', proxyhost: 'app.test' }])
      requests.push([`http://other.test${path}`, {}], [`http://app.test${path}`, {}])
    }
    for (const [target, headers] of requests) {
      t.match(await client.ask('GET', target, headers), { status: 404, body: 'main 404' }, target)
    }
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
      app.addContentTypeParser('text/x', { parseAs: 'string' }, (_request, body, done) => {
        done(null, `${name} parsed ${String(body)}`)
      })
      app.get('/', async function () { return (this as unknown as { name: string }).name })
      app.get('/throw', async () => { throw new Error('it') })
      app.post('/', async ({ body }) => body)
      const querystring = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }
      app.get('/schema', { schema: { querystring } }, async ({ query }) => query)
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
      const posted = proxy.ask('POST', `http://${name}.test/`, { 'content-type': 'text/x' }, 'text')
      t.equal(await bodyOf(posted), `${name} parsed text|${name}`)
      t.equal(await bodyOf(proxy.get(`http://${name}.test/schema?n=5`)), `{"n":5}|${name}`)
      const refused = await proxy.get(`http://${name}.test/schema?n=x`)
      t.match(refused, { status: 418, body: new RegExp(`^${name} handled querystring`) })
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
          v1.register(async (deep) => {
            deep.get('/', { prefixTrailingSlash: 'no-slash' }, async () => 'no slash')
          }, { prefix: '/no-slash' })
          v1.register(async (deep) => {
            deep.get('/', { prefixTrailingSlash: 'slash' }, async () => 'slash')
          }, { prefix: '/slash' })
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
    t.match(await proxy.ask('HEAD', 'https://api.test/v1/charges'), {
      status: 200,
      body: '',
      headers: { 'content-length': '34' }
    })
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
    const named = (name: string): FastifyPluginAsync => async (app) => {
      app.get('/', async () => name)
      app.get('/*', async ({ url }) => `${name} ${url}`)
      app.register(async (v1) => { v1.get('/', async () => `${name} v1`) }, { prefix: '/v1' })
    }
    const proxy = await withApps(t, Object.fromEntries(names.map((name) => [name, named(name)])))
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
    for (const name of ['module', 'promise', 'import', 'wrapped']) {
      t.equal(await bodyOf(proxy.get(`http://${name}.test/`)), 'app', name)
    }
  })

  t.test('may be a callback plugin, and fail to load', async (t) => {
    const proxy = await withApps(t, {
      'app.test': (app, _options, done) => {
        app.get('/', async () => 'callback')
        done()
      }
    })
    t.equal(await bodyOf(proxy.get('http://app.test/')), 'callback')
    const load = async (a: FastifyPluginAsync): Promise<void> => {
      const { app } = await create(t, { prox: { proxyApps: { a } } })
      await app.ready()
    }
    await t.rejects(load(async () => { throw new Error('cannot load') }), /cannot load/)
    await t.rejects(load(async (app) => { app.get('/a', main as never).get('/a', main as never) }), {
      code: 'FST_ERR_DUPLICATED_ROUTE',
      message: "The proxy host a has a route for GET '/a' already"
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
          v1.setNotFoundHandler({
            preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-pre', '1') }
          }, (request, reply) => { reply.code(404).send(`v1 has no ${request.url}`) })
          v1.get('/a', async () => 'v1 a')
          v1.get('/call', async (_request, reply) => reply.callNotFound())
        }, { prefix: '/v1' })
        app.register(async (v2) => {
          v2.setNotFoundHandler(async (_request, reply) => reply.code(404).send('v2'))
        }, { prefix: '/v2/' })
      },
      // Sets Fastify's own handler, by a call without arguments that its types do not know.
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
    const { status } = await client.ask('DELETE', 'http://full.test/b')
    t.equal(status, 410, 'the methods that the app has no catch-all for')
  })
})
