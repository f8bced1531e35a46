/** Not-found handlers of a plugin at the root of plain Fastify and of a proxy app give the same answers. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { behavesAlike } from './pairs'
import type { App, Behaviour } from './pairs'

/** Tells all that a not-found handler can see of its request. */
async function telling (request: FastifyRequest, reply: FastifyReply): Promise<object> {
  const { method, url, is404, params, query, body, routeOptions } = request
  reply.code(404)
  return { method, url, is404, params, query, body, route: routeOptions.url, config: routeOptions.config, raw: request.raw.url }
}

/** As Fastify itself calls it, for its own handler. */
function setFastifysOwn (app: FastifyInstance): void {
  (app as unknown as { setNotFoundHandler: () => void }).setNotFoundHandler()
}

const handled: App = (app) => {
  app.setNotFoundHandler(telling)
  app.get('/a', async () => 'a')
}

const behaviours: Record<string, Behaviour> = {
  'a path without a route': { app: handled, ask: ['/a', '/b?c=d', '/', '/a/', '/a%20b'], expect: [200, 404, 404, 404, 404] },
  'every method that Fastify routes': {
    app: handled,
    ask: ['HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'PUT', 'POST', 'TRACE'].map((method) => ({ method: method as 'PUT', url: '/a' })),
    expect: [200, 404, 404, 404, 404, 404, 404]
  },
  'a method that Fastify does not route': {
    app: handled, ask: ['LOCK', 'MKCOL', 'PROPFIND'].map((method) => ({ method: method as 'GET', url: '/a' })), expect: [404, 404, 404]
  },
  'a body that has a parser': {
    app: handled, ask: [{ method: 'POST', url: '/b', payload: { c: 'd' } }], expect: [404]
  },
  'a body that has no parser': {
    app: handled,
    ask: ['application/xml', 'application/x-www-form-urlencoded', 'nonsense'].map((type) =>
      ({ method: 'POST', url: '/b', headers: { 'content-type': type }, payload: '<a/>' })),
    // The oldest Fastify takes what is no content type for one without a parser.
    expect: [404, 404, OLDEST ? 404 : 415]
  },
  'a body that cannot be parsed': {
    app: handled, ask: [{ method: 'POST', url: '/b', headers: { 'content-type': 'application/json' }, payload: '{' }], expect: [400]
  },
  'its preHandler and preValidation': {
    app: (app) => {
      app.setNotFoundHandler({
        preValidation: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-validation', '1') },
        preHandler: [async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-handler', '1') }]
      }, telling)
    },
    ask: ['/b'],
    expect: [404]
  },
  'the hooks of its context': {
    app: (app, note) => {
      for (const hook of ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'] as const) {
        app.addHook(hook, async ({ is404 }: FastifyRequest) => { note(hook, is404) })
      }
      app.setNotFoundHandler(telling)
    },
    ask: ['/b'],
    expect: [404]
  },
  'one for each prefix': {
    app: (app) => {
      app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('app'))
      app.register(async (v1) => {
        v1.setNotFoundHandler(async ({ url }, reply) => reply.code(404).send(`v1 ${url}`))
        v1.get('/a', async () => 'a')
      }, { prefix: '/v1' })
      app.register(async (v2) => { v2.setNotFoundHandler(async (_request, reply) => reply.code(404).send('v2')) }, { prefix: '/v2/' })
      app.register(async (v3) => { v3.get('/a', async () => 'a') }, { prefix: '/v3' })
    },
    ask: ['/b', '/v1', '/v1/', '/v1/a', '/v1/b', '/v1x', '/v2', '/v2/', '/v2/b', '/v3/b'],
    expect: [404, 404, 404, 200, 404, 404, 404, 404, 404, 404]
  },
  'of a context in it': { app: (app) => { app.register(async (child) => { child.setNotFoundHandler(telling) }) }, ask: ['/b'], expect: [404] },
  'of a context with the prefix /': {
    app: (app) => {
      app.register(async (child) => { child.setNotFoundHandler(telling) }, { prefix: '/' })
      app.get('/call', (_request, reply) => { reply.callNotFound() })
    },
    ask: ['/b', '/call'],
    expect: [404, 404]
  },
  'in a plugin that is wrapped': { app: (app) => { app.register(Object.assign(handled, { [Symbol.for('skip-override')]: true }) as never) }, ask: ['/b'], expect: [404] },
  'none at all': { app: (app) => { app.get('/a', async () => 'a') }, ask: ['/b', { method: 'POST', url: '/b', payload: 'x' }], expect: [404, 404] },
  "Fastify's own": { app: setFastifysOwn, ask: ['/b'], expect: [404] },
  'after others of its own': {
    app: (app) => {
      setFastifysOwn(app)
      app.setNotFoundHandler(telling)
    },
    ask: ['/b'],
    expect: [404]
  },
  'one that answers later, throws, or rejects': {
    app: (app) => {
      app.setErrorHandler(async (err: Error, _request, reply) => reply.code(418).send(err.message))
      app.setNotFoundHandler(({ url }, reply) => {
        if (url === '/throw') throw new Error('thrown')
        if (url === '/reject') return Promise.reject(new Error('rejected'))
        setImmediate(() => reply.code(404).send('later'))
      })
    },
    ask: ['/throw', '/reject', '/b'],
    expect: [418, 418, 404]
  },
  'what decorates its context': {
    app: (app) => {
      app.decorateRequest('colour', 'red').decorateReply('shade', 'dark').decorate('tone', 'low')
      app.setNotFoundHandler(async function (request, reply) {
        return reply.code(404).send([request.getDecorator('colour'), reply.getDecorator('shade'), this.getDecorator('tone')])
      })
    },
    ask: ['/b'],
    expect: [404]
  },
  'after methods that are added later': {
    app: (app) => {
      app.addHttpMethod('MKCOL', { hasBody: true }).addHttpMethod('LOCK')
      app.route({ method: 'MKCOL', url: '/a', handler: async ({ body }) => ({ body }) })
      app.setNotFoundHandler(telling)
    },
    ask: [{ method: 'MKCOL' as 'GET', url: '/a', payload: { b: 1 } }, { method: 'MKCOL' as 'GET', url: '/b', payload: { b: 1 } }, { method: 'LOCK' as 'GET', url: '/b' }],
    expect: [200, 404, 404]
  },
  'callNotFound from a handler': {
    app: (app) => {
      app.setNotFoundHandler({ preHandler: async (_request: FastifyRequest, reply: FastifyReply) => { reply.header('x-handler', '1') } }, telling)
      app.get('/a', { schema: { response: { '4xx': { type: 'object', properties: { none: { type: 'string' } } } } } }, (_request, reply) => { reply.callNotFound() })
      app.get('/async', async (_request, reply) => reply.callNotFound())
      app.register(async (v1) => { v1.get('/a', (_request, reply) => { reply.callNotFound() }) }, { prefix: '/v1' })
    },
    ask: ['/a', '/async', '/v1/a'],
    expect: [404, 404, 404]
  },
  'callNotFound from a hook that was there first': {
    app: (app) => {
      app.addHook('onRequest', async (request, reply) => { if (request.url === '/hidden') reply.callNotFound() })
      app.get('/hidden', async () => 'hidden')
      app.setNotFoundHandler(telling)
    },
    ask: ['/hidden'],
    expect: [404]
  },
  'callNotFound from a hook of the root': {
    root: (app) => { app.addHook('onRequest', async (request, reply) => { if (request.url === '/hidden') reply.callNotFound() }) },
    app: (app) => {
      app.get('/hidden', async () => 'hidden')
      app.setNotFoundHandler(telling)
    },
    ask: ['/hidden'],
    expect: [404]
  },
  'callNotFound from a not-found handler': {
    app: (app) => { app.setNotFoundHandler((_request, reply) => { reply.callNotFound() }) }, ask: ['/b'], expect: [404]
  },
  'callNotFound where there is no handler': {
    app: (app) => { app.get('/a', (_request, reply) => { reply.callNotFound() }) }, ask: ['/a'], expect: [404]
  },
  'callNotFound with the onSend of its route': {
    app: (app) => {
      app.get('/a', { onSend: async (_request, reply) => { reply.header('x-send', 'route') } }, (_request, reply) => { reply.callNotFound() })
      app.setNotFoundHandler(telling)
    },
    ask: ['/a'],
    expect: [404]
  },
  'a second one': {
    app: (app, note) => {
      app.setNotFoundHandler(telling)
      try { app.setNotFoundHandler(telling) } catch (err) { note((err as Error).message) }
      app.register(async (child) => {
        try { child.setNotFoundHandler(telling) } catch (err) { note((err as Error).message) }
      })
      app.register(async (v1) => {
        v1.setNotFoundHandler(telling)
        try { v1.setNotFoundHandler(telling) } catch (err) { note((err as Error).message) }
      }, { prefix: '/v1' })
    }
  }
}

for (const [name, behaviour] of Object.entries(behaviours)) t.test(`the not-found handler: ${name}`, (t) => behavesAlike(t, behaviour))
