/** Nobody sees the private part of the route table. */
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions, RouteOptions } from 'fastify'
import t from 'tap'
import fastifyProx from '../../plugin/index'
import { OLDEST } from '../support/oldest'
import { create } from '../support/proxy'
import { jsonOf } from '../support/raw'
import { withApp } from './support'

const PRIVATE = '~fastify-prox'

type Route = RouteOptions & { path: string, prefix: string, routePath: string }

/** What a hook may ask a route for. */
function describe ({ method, url, path, prefix, routePath, constraints }: Route): object {
  return { method, url, path, prefix, routePath, constraints: { ...constraints } }
}

t.test('onRoute hooks see the URLs that routes were declared with', async (t) => {
  const seen: Record<string, object[]> = { before: [], app: [], after: [] }
  const stored: RouteOptions[] = []
  const copies: RouteOptions[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRoute', (route) => { seen.before!.push(describe(route)) })
  await app.register(fastifyProx, {
    downloadHost: false,
    ca: { store: new Map() },
    proxyApps: {
      'app.test': async (app) => {
        app.addHook('onRoute', (route) => { seen.app!.push(describe(route)) })
        app.post('/in-app', async () => 'in app')
        app.register(async (v1) => { v1.delete('/', async () => 'v1') }, { prefix: '/v1' })
      }
    }
  })
  app.addHook('onRoute', (route) => {
    copies.push({ ...route })
    stored.push(route)
    seen.after!.push(describe(route))
    if (stored.length > 1) seen.after!.push({ earlier: stored.at(-2)?.url })
  })
  app.put('/constrained', { constraints: { proxyHost: 'Other.test' } }, async () => 'constrained')
  t.equal(stored[0]?.url, '/constrained', 'at once')
  app.put('/main', async () => 'main')
  await app.ready()

  const inApp = {
    method: 'POST',
    url: '/in-app',
    path: '/in-app',
    prefix: '',
    routePath: '/in-app',
    constraints: { proxyHost: 'app.test' }
  }
  const v1 = {
    method: 'DELETE',
    url: '/v1',
    path: '/v1',
    prefix: '/v1',
    routePath: '',
    constraints: { proxyHost: 'app.test' }
  }
  const constrained = {
    method: 'PUT',
    url: '/constrained',
    path: '/constrained',
    prefix: '',
    routePath: '/constrained',
    constraints: { proxyHost: 'other.test' }
  }
  t.strictSame(seen.app, [inApp, v1])
  const ofOthers = (route: object): boolean => 'method' in route && route.method !== 'GET' && route.method !== 'CONNECT'
  t.match(seen.before!.filter(ofOthers), [
    { ...inApp, constraints: {} },
    { ...v1, constraints: {} },
    { ...constrained, constraints: { proxyHost: 'Other.test' } },
    { url: '/main', constraints: {} }
  ])
  t.match(seen.after, [constrained, { url: '/main' }, { earlier: '/constrained' }])
  t.strictSame(stored.map(({ url }) => url), ['/constrained', '/main'], 'for ever')
  t.match(copies, [{ url: '/constrained', method: 'PUT' }, { url: '/main' }])
  t.notMatch(JSON.stringify([seen, stored, copies]), PRIVATE)
})

t.test('a hook may add a route for what it sees', async (t) => {
  const proxy = await withApp(t, {}, async (app) => {
    app.addHook('onRoute', function (route) {
      if (route.method !== 'GET' || route.url.startsWith('/copy')) return
      this.route({ ...route, method: 'GET', url: `/copy${route.url}` })
    })
    app.get('/a', async ({ url }) => `a ${url}`)
  })
  t.equal((await proxy.get('http://app.test/a')).body, 'a /a')
  t.equal((await proxy.get('http://app.test/copy/a')).body, 'a /copy/a')
  t.equal((await proxy.get('http://other.test/copy/a')).status, 404)
})

t.test('a route that Fastify refuses is refused', async (t) => {
  const refused = async (app: FastifyPluginAsync): Promise<void> => {
    const created = await create(t, { prox: { proxyApps: { 'app.test': app } } })
    await created.app.ready()
  }
  const handler = async (): Promise<void> => {}
  await t.rejects(refused(async (app) => { app.get('', handler) }), /could not be empty/)
  await t.rejects(refused(async (app) => { app.get('a', handler) }), /The first character/)
  await t.rejects(refused(async (app) => { app.get('/*/a', handler) }), /Wildcard must be the last character/)
})

t.test('whatever a request passes sees the URL of the client', async (t) => {
  const seen: Array<[who: string, url: string | undefined, method?: string]> = []
  const fastify: FastifyServerOptions = {
    genReqId (raw) {
      seen.push(['genReqId', raw.url, raw.method])
      return 'the-id'
    },
    rewriteUrl (raw) {
      seen.push(['rewriteUrl', raw.url, raw.method])
      return raw.url!.replace('/old', '/new')
    },
    childLoggerFactory (logger, bindings, options, raw) {
      seen.push(['childLoggerFactory', raw.url, raw.method])
      return logger.child(bindings, options)
    }
  }
  const proxy = await withApp(t, fastify, async (app) => {
    app.addHook('onRequest', async (request) => { seen.push(['onRequest', request.url, request.method]) })
    app.get('/new/a', async (request) => ({ url: request.url, raw: request.raw.url, route: request.routeOptions.url }))
    app.get('/own', {
      childLoggerFactory (logger, bindings, options, raw) {
        seen.push(['own childLoggerFactory', raw.url, raw.method])
        return logger.child(bindings, options)
      }
    }, async (request) => request.id)
  })
  t.strictSame(await jsonOf(proxy.get('http://app.test/old/a?b')), {
    url: '/new/a?b',
    raw: '/new/a?b',
    route: '/new/a'
  })
  // Leaves out the factory for the oldest Fastify, which takes one from the routes alone.
  const steps = (all: string[][]): string[][] => all.filter(([step]) => !OLDEST || step !== 'childLoggerFactory')
  t.strictSame(seen.splice(0), steps([
    ['rewriteUrl', '/old/a?b', 'GET'],
    ['genReqId', '/new/a?b', 'GET'],
    ['childLoggerFactory', '/new/a?b', 'GET'],
    ['onRequest', '/new/a?b', 'GET']
  ]), 'a URL that was rewritten finds a route of the app')
  t.equal((await proxy.get('http://app.test/own')).body, 'the-id')
  t.match(seen.splice(0), [['rewriteUrl'], ['genReqId'], ['own childLoggerFactory', '/own', 'GET'], ['onRequest']])

  t.equal((await proxy.ask('PUT', 'http://bad@app.test/')).status, 400)
  t.strictSame(seen.splice(0), steps([
    ['rewriteUrl', 'http://***@app.test/', 'PUT'],
    ['genReqId', 'http://***@app.test/', 'PUT'],
    ['childLoggerFactory', 'http://***@app.test/', 'PUT']
  ]), 'a request that failed, too')
  await proxy.tunnel('app.test:80')
  t.strictSame(seen.splice(0), steps([
    ['rewriteUrl', 'app.test:80', 'CONNECT'],
    ['genReqId', 'app.test:80', 'CONNECT'],
    ['childLoggerFactory', 'app.test:80', 'CONNECT']
  ]), 'and a CONNECT')
  const logged = proxy.log.lines.map(({ req, res, err, ...line }) => ({ ...line, url: (req as { url?: string })?.url }))
  t.notMatch(JSON.stringify(logged), PRIVATE)
})

t.test('printRoutes prints the routes of each proxy host below its name, and the same every time', async (t) => {
  const proxyApps = {
    'app.test': async (app: FastifyInstance) => { app.get('/in-app', async () => 'app') },
    'none.test': null
  }
  const print = async (): Promise<string[]> => {
    const { app } = await create(t, { prox: { downloadHost: false, proxyApps } }, (app) => {
      app.get('/main', async () => 'main')
    })
    await app.ready()
    return [
      app.printRoutes({ commonPrefix: false }),
      app.printRoutes(),
      app.printRoutes({ method: 'GET', includeHooks: true })
    ]
  }
  const printed = await print()
  t.equal(printed[0], '└── /main (GET, HEAD)\n\napp.test\n└── /in-app (GET, HEAD)\n')
  t.match(printed[1], /main[^]*\napp\.test\n[^]*in-app/)
  t.match(printed[2], /main[^]*\napp\.test\n[^]*in-app/)
  t.strictSame(await print(), printed)
})

t.test('a wildcard or a parameter of the application swallows nothing', async (t) => {
  const proxy = await withApp(t, {}, async (app) => { app.get('/a', async () => 'app') }, (app) => {
    app.all('*', async ({ url }) => `star ${url}`)
    app.get('/~:user/*', async ({ url }) => `home ${url}`)
    app.get('/:a/:b', async ({ url }) => `parameters ${url}`)
    app.get('/:a/:b/:c', async ({ url }) => `parameters ${url}`)
  })
  t.equal((await proxy.get('http://app.test/a')).body, 'app')
  t.equal((await proxy.get('http://app.test/b')).body, 'star /b')
  t.equal((await proxy.get('http://app.test/b/c')).body, 'parameters /b/c')
  t.equal((await proxy.get('http://app.test/~user/c')).body, 'home /~user/c')
  t.equal((await proxy.get(`http://app.test/${PRIVATE}/2/a`)).body, `home /${PRIVATE}/2/a`)
})

t.test("routes of the plugin's own are in no API document, and hooks can recognise them", async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const own: string[] = []
  await app.register(swagger)
  app.addHook('onRoute', ({ method, url, schema, config }) => {
    const { hide } = (schema ?? {}) as { hide?: boolean }
    if (config?.fastifyProx !== undefined) own.push(`${config.fastifyProx} ${String(method)} ${url} ${String(hide)}`)
  })
  await app.register(fastifyProx, {
    ca: { store: new Map() },
    proxyApps: { 'app.test': async (app) => { app.get('/in-app', async () => 'app') } }
  })
  app.get('/main', async () => 'main')
  await app.ready()
  t.strictSame(Object.keys(app.swagger().paths!).sort(), ['/in-app', '/main'])
  const files = ['pem', 'cer', 'pem/2', 'cer/2', 'p12', 'mobileconfig']
  const downloads = ['', '/', '/trusted.css', '/env', ...files.map((file) => `/${file}`)]
  const get = [...downloads.map((path) => `/download${path}`), '/proxy.pac'].map((url) => `download GET ${url} true`)
  t.strictSame(new Set(own), new Set([
    'connect GET / true',
    'failure GET / true',
    ...get.filter((line) => !line.endsWith('/ true')),
    ...get.map((line) => line.replace('GET', 'HEAD'))
  ]))
})

t.test('not-found handlers of the application are its own', async (t) => {
  const { app } = await create(t, { prox: { resolver: '/' } }, (app) => {
    app.register(async (child) => {
      child.setNotFoundHandler(async (_request, reply) => await reply.code(404).send('of the child'))
    }, { prefix: '/v1' })
  })
  t.equal((await app.inject('/v1/none')).body, 'of the child')
  t.match((await app.inject('/none')).json(), { message: 'Route GET:/none not found' })
})
