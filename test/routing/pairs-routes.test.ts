/** Routes of a plugin at the root of plain Fastify and of a proxy app give the same answers. */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { OLDEST, router } from '../support/oldest'
import { behavesAlike } from './pairs'
import type { Behaviour, Note } from './pairs'

type Raw = { headers: Record<string, string | undefined> }
type Derived = (err: Error | null, value?: string) => void

const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'] as const

/** Tells all that a handler can see of its request and of its route. */
async function telling (request: FastifyRequest): Promise<object> {
  const { method, url, is404, params, query, body, routeOptions, host, hostname, raw } = request
  const { url: route, config, bodyLimit, exposeHeadRoute, prefixTrailingSlash } = routeOptions
  return { method, url, is404, params, query, body, route, config, bodyLimit, exposeHeadRoute, prefixTrailingSlash, host, hostname, raw: raw.url }
}

/** Routes whose answers tell which of two values of a constraint they are for. */
function coloured (app: FastifyInstance): void {
  app.get('/', { constraints: { colour: 'red' } }, async ({ url }) => `red ${url}`)
  app.get('/', async ({ url }) => `any ${url}`)
  app.get('/only', { constraints: { colour: 'red' } }, async ({ url }) => `only red ${url}`)
  app.get('/of/:id', { constraints: { colour: 'red', version: '1.0.0' } }, async ({ params }) => params as object)
}

const COLOURS = ['/', '/only', '/of/1', '/none'].flatMap((url) =>
  [{}, { 'x-colour': 'red' }, { 'x-colour': 'blue' }, { 'x-colour': 'red', 'accept-version': '1.x' }].map((headers) => ({ url, headers })))

const colour = (more: object = {}): { colour: object } => ({
  colour: {
    name: 'colour', storage: () => new Map(), validate: () => {}, deriveConstraint: ({ headers }: Raw) => headers['x-colour'], ...more
  }
})

function later ({ headers }: Raw, _context: unknown, done: Derived): void {
  if (headers['x-colour'] === 'blue') done(new Error('no blue'))
  else setImmediate(() => done(null, headers['x-colour']))
}

async function notedHooks (app: FastifyInstance, note: Note, name: string): Promise<void> {
  for (const hook of HOOKS) app.addHook(hook, async (request: FastifyRequest) => { note(name, hook, request.url, request.routeOptions.url) })
}

const settings = (options: object, app: Behaviour['app'], ask: Behaviour['ask']): Behaviour => ({ fastify: router(options), app, ask })

const behaviours: Record<string, Behaviour> = {
  'what a request shows': {
    app: (app) => {
      app.all('/a', { config: { b: 1 } as object }, telling)
      app.get('/params/:a/:b', telling)
      app.get('/many/:a-:b.:c', telling)
      app.get('/regexp/:n(^\\d+$)', telling)
      app.get('/optional/:a?', telling)
      app.get('/wildcard/*', telling)
      app.get('/colon/::a', telling)
    },
    ask: ['/a', '/a?b=c&b=d', '/a#b', { method: 'PUT', url: '/a', payload: { b: 1 } }, '/params/1/2', '/params/a%2Fb/%C3%BC', '/params/%25E9/x', '/many/1-2.3',
      '/regexp/12', '/regexp/x', '/optional', '/optional/1', '/wildcard/', '/wildcard/a/b%20c', '/colon/:a']
  },
  'the catch-all *': { app: (app) => { app.get('*', telling).options('*', telling) }, ask: ['/', '/a/b', { method: 'OPTIONS', url: '/x' }] },
  prefixes: {
    app: (app) => {
      app.register(async (v1) => {
        v1.get('/', telling)
        v1.get('/a', telling)
        v1.register(async (deep) => { deep.get('/', { prefixTrailingSlash: 'no-slash' }, telling) }, { prefix: '/no-slash' })
        v1.register(async (deep) => { deep.get('/', { prefixTrailingSlash: 'slash' }, telling) }, { prefix: '/slash' })
        v1.register(async (deep) => { deep.get('/b', telling) }, { prefix: '/ends/' })
      }, { prefix: '/v1' })
      app.register(async (root) => { root.get('/r', telling) }, { prefix: '/' })
      app.register(async (user) => { user.get('/files', telling) }, { prefix: '/:user' })
    },
    ask: ['/v1', '/v1/', '/v1?a', '/v1/a', '/v1/no-slash', '/v1/no-slash/', '/v1/slash', '/v1/slash/', '/v1/ends/b', '/r', '/jane/files']
  },
  'HEAD routes': {
    app: (app) => {
      app.get('/a', async () => 'a')
      app.head('/own', async (_request, reply) => { reply.header('x-own', '1') })
      app.get('/own', async () => 'own')
      app.get('/none', { exposeHeadRoute: false }, async () => 'none')
      app.register(async (v1) => { v1.get('/', async () => 'v1') }, { prefix: '/v1' })
    },
    ask: ['/a', '/own', '/none', '/v1', '/v1/'].map((url) => ({ method: 'HEAD', url })),
    expect: [200, 200, 404, 200, 200]
  },
  'no HEAD routes': { fastify: { exposeHeadRoutes: false }, app: (app) => { app.get('/a', async () => 'a') }, ask: [{ method: 'HEAD', url: '/a' }], expect: [404] },
  'all methods': { app: (app, note) => { note(app.supportedMethods); app.all('/a', telling) }, ask: ['PUT', 'TRACE', 'LOCK'].map((method) => ({ method: method as 'PUT', url: '/a' })) },
  'versions and hosts': {
    app: (app) => {
      app.get('/v', { constraints: { version: '1.2.0' } }, async () => 'version 1')
      app.get('/v', { constraints: { version: '2.0.0' } }, async () => 'version 2')
      app.get('/h', { constraints: { host: 'app.test' } }, async () => 'app.test')
      app.get('/h', { constraints: { host: /^other/ } }, async () => 'other')
      app.get('/none', { constraints: { host: 'other.test' } }, async () => 'other')
      app.setNotFoundHandler(async ({ headers }, reply) => reply.code(404).send(headers['accept-version'] ?? 'none'))
    },
    ask: ['/v', '/h', '/none', ...['1.x', '2.0.0', '3.x'].map((version) => ({ url: '/v', headers: { 'accept-version': version } })), { url: '/h', headers: { 'accept-version': '1.x' } }]
  },
  'a constraint of its own': { fastify: router({ constraints: colour() }), app: coloured, ask: COLOURS },
  'one that is derived later': { fastify: router({ constraints: colour({ deriveConstraint: later }) }), app: coloured, ask: COLOURS },
  'one that must match': { fastify: router({ constraints: colour({ mustMatchWhenDerived: true }) }), app: coloured, ask: COLOURS },
  'one that is derived later, and a not-found handler': {
    fastify: router({ constraints: colour({ deriveConstraint: later }) }),
    app: (app) => {
      coloured(app)
      app.setNotFoundHandler(async ({ url }, reply) => reply.code(404).send(`none ${url}`))
    },
    ask: COLOURS
  },
  'a constraint that the plugin adds': {
    app: (app, note) => {
      app.get('/before', async () => 'before')
      note(app.hasConstraintStrategy('colour'))
      app.addConstraintStrategy(colour({ mustMatchWhenDerived: true }).colour as never)
      note(app.hasConstraintStrategy('colour'))
      coloured(app)
    },
    ask: [...COLOURS, '/before', { url: '/before', headers: { 'x-colour': 'red' } }]
  },
  'hasRoute and findRoute': {
    app: (app, note) => {
      const has = (context: FastifyInstance): void => {
        for (const [method, url, constraints] of [['GET', '/a'], ['get', '/a/:id'], ['HEAD', '/a'], ['POST', '/a'], ['GET', '/b'], ['GET', '/a', { version: '1.0.0' }],
          ['GET', '/a', { version: '2.0.0' }]] as Array<[method: 'GET', url: string, constraints: Record<string, unknown> | undefined]>) {
          const found = context.findRoute({ method, url, constraints })
          note(context.hasRoute({ method, url, constraints }), found === null ? null : { params: found.params })
        }
      }
      has(app)
      app.get('/a', telling).get('/a/:id', telling).get('/a', { constraints: { version: '1.0.0' } }, telling)
      has(app)
      app.register(async (v1) => {
        v1.get('/c', telling)
        has(v1)
        note(v1.hasRoute({ method: 'GET', url: '/v1/c' }), v1.hasRoute({ method: 'GET', url: '/c' }))
      }, { prefix: '/v1' })
    }
  },
  'onRoute and onRegister hooks': {
    app: async (app, note) => {
      app.addHook('onRoute', ({ method, url, path, routePath, prefix, config }: RouteOptions & { path: string, routePath: string, prefix: string }) => {
        note({ method, url, path, routePath, prefix, config })
      })
      app.addHook('onRegister', (instance, { prefix }: { prefix?: string }) => { note(instance.prefix, prefix) })
      note(app.prefix)
      app.route({ method: ['GET', 'PUT'], url: '/a', handler: telling })
      await app.register(async (v1) => {
        note(v1.prefix)
        v1.get('/', telling)
      }, { prefix: '/v1' })
    }
  },
  'a route for what an onRoute hook sees': {
    app: (app) => {
      app.addHook('onRoute', function (route) {
        if (route.method === 'GET' && !route.url.startsWith('/copy')) this.route({ ...route, method: 'GET', url: `/copy${route.url}`, exposeHeadRoute: false })
      })
      app.get('/a', async ({ url }) => url)
    },
    ask: ['/a', '/copy/a']
  },
  'a route twice': { app: (app) => { app.get('/a', telling).get('/a', telling) } },
  // The oldest Fastify refuses it by an error of its router, which has no code.
  ...!OLDEST && {
    'a route twice for several methods': {
      app: (app: FastifyInstance) => {
        app.post('/a', telling).route({ method: ['PUT', 'POST'], url: '/a', handler: telling })
      }
    }
  },
  'an optional parameter and its route': { app: (app) => { app.get('/a/:b?', telling).get('/a', telling) } },
  'routes that are refused': {
    app: (app, note) => {
      for (const url of ['', 'a', '/*/a', '/a/:b?/c']) {
        try { app.get(url, telling) } catch (err) { note((err as Error).message) }
      }
      try { app.get('/a', { constraints: { unknown: 1 } }, telling) } catch (err) { note((err as Error).message) }
      try { app.get('/a', { constraints: { version: undefined } } as object, telling) } catch (err) { note((err as Error).message) }
      try { app.route({ method: 'NONE' as 'GET', url: '/a', handler: telling }) } catch (err) { note((err as Error).message) }
    }
  },
  'a plugin that fails': { app: () => { throw Object.assign(new Error('cannot load'), { code: 'E' }) } },
  'a plugin within that fails later': { app: (app) => { app.register(async () => { throw Object.assign(new Error('cannot load'), { code: 'E' }) }) } },
  'long parameters': settings({ maxParamLength: 10 }, (app) => { app.get('/:id', telling).get('/in/:id/x', telling).get('/re/:id(^\\w+$)', telling) },
    ['/1234567890', '/12345678901', '/in/12345678901/x', '/re/12345678901', '/in/%C3%BC2345678901/x']),
  'long parameters and a not-found handler': settings({ maxParamLength: 10 }, (app) => {
    app.get('/:id', telling).setNotFoundHandler(async (_request, reply) => reply.code(404).send('none'))
  }, ['/12345678901']),
  'no matter which case': settings({ caseSensitive: false }, (app) => { app.get('/Case/:Id', telling) }, ['/cASE/Id', '/case/ID?Q']),
  'no matter which trailing slash': settings({ ignoreTrailingSlash: true }, (app) => {
    app.get('/a', telling).get('/b/', telling).register(async (v1) => { v1.get('/', telling) }, { prefix: '/v1' })
  }, ['/a/', '/b', '/v1', '/v1/', '/']),
  'no matter how many slashes': settings({ ignoreDuplicateSlashes: true }, (app) => { app.get('/a/b', telling) }, ['//a///b', '/a/b?c=//d']),
  'a semicolon before the query': settings({ useSemicolonDelimiter: true }, (app) => { app.get('/a', telling) }, ['/a;b=1', '/a?b=1']),
  'a parser for the query': settings({ querystringParser: (text: string) => ({ text }) }, (app) => { app.get('/a', telling) }, ['/a?b', '/c?d']),
  'a compiled router': {
    fastify: router(OLDEST ? {} : { compile: true, constraints: colour() }),
    app: (app) => {
      if (!OLDEST) coloured(app)
      app.get('/a/:id', telling).get('/w/*', telling)
      app.setNotFoundHandler(async ({ url }, reply) => reply.code(404).send(`none ${url}`))
    },
    ask: [...OLDEST ? [] : COLOURS, '/a/1?b', '/a/%C3%BC', '/w/a/b', '/b']
  },
  rewriteUrl: { fastify: { rewriteUrl: (raw) => raw.url!.replace('/old', '/new') }, app: (app) => { app.get('/new/*', telling) }, ask: ['/old/a?b', '/new/a', '/other'] },
  'the order of hooks': {
    root: (app, note) => notedHooks(app, note, 'root'),
    app: async (app, note) => {
      await notedHooks(app, note, 'app')
      app.register(async (child) => {
        await notedHooks(child, note, 'child')
        child.get('/a', { preHandler: async () => { note('route') } }, async () => ({ a: 1 }))
      })
    },
    ask: ['/a']
  },
  'a hook that answers': { app: (app) => { app.addHook('onRequest', async (_request, reply) => reply.code(401).send('no')).get('/a', telling) }, ask: ['/a', '/b'] },
  'a hook that throws': { app: (app) => { app.addHook('preHandler', async () => { throw new Error('in the hook') }).get('/a', telling) }, ask: ['/a'] },
  'errors and their handlers': {
    app: (app, note) => {
      app.addHook('onError', async (_request, _reply, err) => { note('onError', err.message) })
      app.setErrorHandler(async (err: Error, _request, reply) => reply.code(418).send(`app ${err.message}`))
      app.get('/a', async () => { throw new Error('a') })
      app.get('/own', { errorHandler: (_err, _request, reply) => { reply.code(419).send('own') } }, async () => { throw new Error('a') })
      app.register(async (child) => {
        child.setErrorHandler(async (err) => { throw err })
        child.get('/child', async () => { throw new Error('child') })
      })
      app.get('/status', async (_request, reply) => { reply.code(503); throw Object.assign(new Error('status'), { statusCode: 410 }) })
    },
    ask: ['/a', '/own', '/child', '/status']
  },
  "Fastify's own error handler": { app: (app) => { app.get('/a', async () => { throw new Error('a') }) }, ask: ['/a'], expect: [500] },
  'bodies and their parsers': {
    app: (app) => {
      app.addContentTypeParser('text/upper', { parseAs: 'string' }, (_request, body, done) => { done(null, String(body).toUpperCase()) })
      app.post('/a', telling)
      app.register(async (child) => {
        child.removeAllContentTypeParsers()
        child.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
        child.post('/any', telling)
      })
      app.post('/small', { bodyLimit: 3 }, telling)
    },
    ask: [['/a', 'text/upper'], ['/a', 'application/xml'], ['/a', 'application/json'], ['/any', 'application/xml'], ['/small', 'text/plain']]
      .map(([url, type]) => ({ method: 'POST', url: url!, headers: { 'content-type': type }, payload: '"body"' }))
  },
  'schemas of requests and responses': {
    app: (app) => {
      app.addSchema({ $id: 'n', type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] })
      const body = { $ref: 'n#' }
      app.post('/a', { schema: { body, response: { 200: body } } }, async ({ body }) => ({ ...body as object, extra: 1 }))
      app.get('/q', { schema: { querystring: body } }, async ({ query }) => query)
      app.get('/attached', { attachValidation: true, schema: { querystring: body } }, async ({ validationError }) => ({ message: validationError?.message }))
      app.register(async (child) => {
        child.setSchemaErrorFormatter((errors) => new Error(`formatted ${errors.length}`))
        child.get('/formatted', { schema: { querystring: body } }, telling)
        child.setValidatorCompiler(() => () => false)
        child.get('/never', { schema: { querystring: body } }, telling)
        child.setSerializerCompiler(() => () => '"compiled"')
        child.get('/compiled', { schema: { response: { 200: body } } }, telling)
        child.setReplySerializer(() => 'serialized')
        child.get('/serialized', telling)
      })
    },
    ask: [{ method: 'POST', url: '/a', payload: { n: 1 } }, { method: 'POST', url: '/a', payload: {} }, '/q?n=1', '/q?n=x', '/attached?n=x', '/formatted', '/never?n=1', '/compiled', '/serialized']
  },
  decorators: {
    root: (app) => { app.decorate('ofRoot', 'root').decorateRequest('mark', 'root') },
    app: (app, note) => {
      app.decorate('ofApp', 'app').decorateRequest('mine', 'app').decorateReply('ours', 'app')
      note(app.hasDecorator('ofRoot'), app.hasRequestDecorator('mark'), app.hasDecorator('ofApp'))
      app.get('/a', async function (request, reply) {
        return [this.getDecorator('ofRoot'), this.getDecorator('ofApp'), request.getDecorator('mark'), request.getDecorator('mine'), reply.getDecorator('ours')]
      })
    },
    ask: OLDEST ? [] : ['/a']
  },
  'ids of requests': {
    fastify: { requestIdHeader: 'x-id' },
    app: (app) => {
      app.setGenReqId(({ url, method }) => `${method} ${url}`)
      app.get('/a', async ({ id }) => id)
      app.register(async (child) => {
        child.setGenReqId(({ url }) => `child ${url}`)
        child.get('/child', async ({ id }) => id)
      })
      app.setNotFoundHandler(async ({ id }, reply) => reply.code(404).send(id))
    },
    ask: ['/a?b', '/child', '/none', { url: '/a', headers: { 'x-id': 'given' } }]
  },
  'loggers of requests': {
    app: (app, note) => {
      app.setChildLoggerFactory((logger, bindings, options, raw) => {
        note(raw.url, raw.method)
        return logger.child(bindings, options)
      })
      app.get('/a', telling)
      app.setNotFoundHandler(async (_request, reply) => reply.code(404).send('none'))
    },
    ask: ['/a?b', '/none']
  },
  'answers of every kind': {
    app: (app) => {
      app.get('/redirect', (_request, reply) => { reply.redirect('/a') })
      app.get('/hijack', (_request, reply) => {
        reply.hijack()
        reply.raw.end('raw')
      })
      app.get('/stream', (_request, reply) => { reply.type('text/plain').send(require('node:stream').Readable.from(['a', 'b'])) })
      app.get('/trailer', (_request, reply) => { reply.trailer('x-t', async () => 't').send('a') })
      app.get('/empty', (_request, reply) => { reply.code(204).send() })
      app.get('/undefined', async () => {})
      app.get('/cookies', (_request, reply) => { reply.header('set-cookie', ['a=1', 'b=2']).send() })
      app.get('/this', async function () { return { prefix: this.prefix, same: this === app } })
    },
    ask: ['/redirect', '/hijack', '/stream', '/trailer', '/empty', '/undefined', '/cookies']
  },
  'a plugin that is wrapped': {
    app: (app) => {
      app.register(fp(async (wrapped) => {
        wrapped.decorate('tone', 'low')
        wrapped.addHook('onRequest', async (_request, reply) => { reply.header('x-wrapped', '1') })
      }))
      app.register(async (child) => { child.get('/a', async (): Promise<unknown> => (child as unknown as { tone: string }).tone) })
    },
    ask: ['/a', '/none']
  },
  'time limits of handlers': {
    fastify: (OLDEST ? {} : { handlerTimeout: 20 }) as object,
    app: (app) => { app.get('/slow/:id', (_request: FastifyRequest, _reply: FastifyReply) => {}) },
    ask: OLDEST ? [] : ['/slow/1']
  }
}

for (const [name, behaviour] of Object.entries(behaviours)) t.test(`routes: ${name}`, (t) => behavesAlike(t, behaviour))
