/** Routes of a plugin at the root of plain Fastify and of a proxy app are found alike. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import t from 'tap'
import { OLDEST, router } from '../support/oldest'
import { behavesAlike, tell } from './pairs'
import type { Behaviour } from './pairs'

type Raw = { headers: Record<string, string | undefined> }
type Derived = (err: Error | null, value?: string) => void

/** Routes whose answers tell which of two values of a constraint they are for. */
function coloured (app: FastifyInstance): void {
  app.get('/', { constraints: { colour: 'red' } }, async ({ url }) => `red ${url}`)
  app.get('/', async ({ url }) => `any ${url}`)
  app.get('/only', { constraints: { colour: 'red' } }, async ({ url }) => `only red ${url}`)
  app.get('/of/:id', { constraints: { colour: 'red', version: '1.0.0' } }, async ({ params }) => params as object)
}

const COLOUR_FIELDS = [
  {},
  { 'x-colour': 'red' },
  { 'x-colour': 'blue' },
  { 'x-colour': 'red', 'accept-version': '1.x' }
]

/** Every path of `coloured`, and one more, with fields that match some of its constraints. */
const COLOURS = ['/', '/only', '/of/1', '/none'].flatMap((url) => COLOUR_FIELDS.map((headers) => ({ url, headers })))

const colour = (more: object = {}): { colour: object } => ({
  colour: {
    name: 'colour',
    storage: () => new Map(),
    validate: () => {},
    deriveConstraint: ({ headers }: Raw) => headers['x-colour'],
    ...more
  }
})

function later ({ headers }: Raw, _context: unknown, done: Derived): void {
  if (headers['x-colour'] === 'blue') done(new Error('no blue'))
  else setImmediate(() => done(null, headers['x-colour']))
}

/** Routes by which `hasRoute` and `findRoute` are asked. */
const SOUGHT: Array<[method: string, url: string, constraints?: Record<string, unknown>]> = [
  ['GET', '/a'],
  ['get', '/a/:id'],
  ['HEAD', '/a'],
  ['POST', '/a'],
  ['GET', '/b'],
  ['GET', '/a', { version: '1.0.0' }],
  ['GET', '/a', { version: '2.0.0' }]
]

/** What `onRoute` hooks get beside the options. */
type Route = RouteOptions & { path: string, routePath: string, prefix: string }

const failing = async (): Promise<never> => { throw Object.assign(new Error('cannot load'), { code: 'E' }) }

/** Routes behind options of the router. */
function settings (options: object, app: Behaviour['app'], ask: Behaviour['ask']): Behaviour {
  return { fastify: router(options), app, ask }
}

const behaviours: Record<string, Behaviour> = {
  'what a request shows': {
    app: (app) => {
      app.all('/a', { config: { b: 1 } as object }, tell)
      app.get('/params/:a/:b', tell)
      app.get('/many/:a-:b.:c', tell)
      app.get('/regexp/:n(^\\d+$)', tell)
      app.get('/optional/:a?', tell)
      app.get('/wildcard/*', tell)
      app.get('/colon/::a', tell)
    },
    ask: [
      '/a',
      '/a?b=c&b=d',
      '/a#b',
      { method: 'PUT', url: '/a', payload: { b: 1 } },
      '/params/1/2',
      '/params/a%2Fb/%C3%BC',
      '/params/%25E9/x',
      '/many/1-2.3',
      '/regexp/12',
      '/regexp/x',
      '/optional',
      '/optional/1',
      '/wildcard/',
      '/wildcard/a/b%20c',
      '/colon/:a'
    ]
  },
  'the catch-all *': {
    app: (app) => { app.get('*', tell).options('*', tell) },
    ask: ['/', '/a/b', { method: 'OPTIONS', url: '/x' }]
  },
  prefixes: {
    app: (app) => {
      app.register(async (v1) => {
        v1.get('/', tell)
        v1.get('/a', tell)
        const none = { prefixTrailingSlash: 'no-slash' } as const
        v1.register(async (deep) => { deep.get('/', none, tell) }, { prefix: '/no-slash' })
        v1.register(async (deep) => { deep.get('/', { prefixTrailingSlash: 'slash' }, tell) }, { prefix: '/slash' })
        v1.register(async (deep) => { deep.get('/b', tell) }, { prefix: '/ends/' })
      }, { prefix: '/v1' })
      app.register(async (root) => { root.get('/r', tell) }, { prefix: '/' })
      app.register(async (user) => { user.get('/files', tell) }, { prefix: '/:user' })
    },
    ask: [
      '/v1', '/v1/', '/v1?a', '/v1/a', '/v1/no-slash', '/v1/no-slash/', '/v1/slash', '/v1/slash/', '/v1/ends/b', '/r',
      '/jane/files'
    ]
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
  'no HEAD routes': {
    fastify: { exposeHeadRoutes: false },
    app: (app) => { app.get('/a', async () => 'a') },
    ask: [{ method: 'HEAD', url: '/a' }],
    expect: [404]
  },
  'all methods': {
    app: (app, note) => {
      note(app.supportedMethods)
      app.all('/a', tell)
    },
    ask: ['PUT', 'TRACE', 'LOCK'].map((method) => ({ method: method as 'PUT', url: '/a' }))
  },
  'versions and hosts': {
    app: (app) => {
      app.get('/v', { constraints: { version: '1.2.0' } }, async () => 'version 1')
      app.get('/v', { constraints: { version: '2.0.0' } }, async () => 'version 2')
      app.get('/h', { constraints: { host: 'app.test' } }, async () => 'app.test')
      app.get('/h', { constraints: { host: /^other/ } }, async () => 'other')
      app.get('/none', { constraints: { host: 'other.test' } }, async () => 'other')
      app.setNotFoundHandler(async ({ headers }, reply) => reply.code(404).send(headers['accept-version'] ?? 'none'))
    },
    ask: [
      '/v',
      '/h',
      '/none',
      { url: '/v', headers: { 'accept-version': '1.x' } },
      { url: '/v', headers: { 'accept-version': '2.0.0' } },
      { url: '/v', headers: { 'accept-version': '3.x' } },
      { url: '/h', headers: { 'accept-version': '1.x' } }
    ]
  },
  'a constraint of its own': { fastify: router({ constraints: colour() }), app: coloured, ask: COLOURS },
  'one that is derived later': {
    fastify: router({ constraints: colour({ deriveConstraint: later }) }),
    app: coloured,
    ask: COLOURS
  },
  'one that must match': {
    fastify: router({ constraints: colour({ mustMatchWhenDerived: true }) }),
    app: coloured,
    ask: COLOURS
  },
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
        for (const [method, url, constraints] of SOUGHT) {
          const route = { method: method as 'GET', url, constraints }
          const found = context.findRoute(route)
          note(context.hasRoute(route), found === null ? null : { params: found.params })
        }
      }
      has(app)
      app.get('/a', tell).get('/a/:id', tell).get('/a', { constraints: { version: '1.0.0' } }, tell)
      has(app)
      app.register(async (v1) => {
        v1.get('/c', tell)
        has(v1)
        note(v1.hasRoute({ method: 'GET', url: '/v1/c' }), v1.hasRoute({ method: 'GET', url: '/c' }))
      }, { prefix: '/v1' })
    }
  },
  'onRoute and onRegister hooks': {
    app: async (app, note) => {
      app.addHook('onRoute', ({ method, url, path, routePath, prefix, config }: Route) => {
        note({ method, url, path, routePath, prefix, config })
      })
      app.addHook('onRegister', (instance, { prefix }: { prefix?: string }) => { note(instance.prefix, prefix) })
      note(app.prefix)
      app.route({ method: ['GET', 'PUT'], url: '/a', handler: tell })
      await app.register(async (v1) => {
        note(v1.prefix)
        v1.get('/', tell)
      }, { prefix: '/v1' })
    }
  },
  'a route for what an onRoute hook sees': {
    app: (app) => {
      app.addHook('onRoute', function (route) {
        if (route.method !== 'GET' || route.url.startsWith('/copy')) return
        this.route({ ...route, method: 'GET', url: `/copy${route.url}`, exposeHeadRoute: false })
      })
      app.get('/a', async ({ url }) => url)
    },
    ask: ['/a', '/copy/a']
  },
  'a route twice': { app: (app) => { app.get('/a', tell).get('/a', tell) } },
  // The oldest Fastify refuses it by an error of its router, which has no code.
  ...!OLDEST && {
    'a route twice for several methods': {
      app: (app: FastifyInstance) => {
        app.post('/a', tell).route({ method: ['PUT', 'POST'], url: '/a', handler: tell })
      }
    }
  },
  'an optional parameter and its route': { app: (app) => { app.get('/a/:b?', tell).get('/a', tell) } },
  'routes that are refused': {
    app: (app, note) => {
      const attempt = (declare: () => unknown): void => {
        try { declare() } catch (err) { note((err as Error).message) }
      }
      for (const url of ['', 'a', '/*/a', '/a/:b?/c']) attempt(() => app.get(url, tell))
      attempt(() => app.get('/a', { constraints: { unknown: 1 } }, tell))
      attempt(() => app.get('/a', { constraints: { version: undefined } } as object, tell))
      attempt(() => app.route({ method: 'NONE' as 'GET', url: '/a', handler: tell }))
    }
  },
  'a plugin that fails': { app: () => { throw Object.assign(new Error('cannot load'), { code: 'E' }) } },
  'a plugin within that fails later': { app: (app) => { app.register(failing) } },
  'long parameters': settings({ maxParamLength: 10 }, (app) => {
    app.get('/:id', tell).get('/in/:id/x', tell).get('/re/:id(^\\w+$)', tell)
  }, ['/1234567890', '/12345678901', '/in/12345678901/x', '/re/12345678901', '/in/%C3%BC2345678901/x']),
  'long parameters and a not-found handler': settings({ maxParamLength: 10 }, (app) => {
    app.get('/:id', tell).setNotFoundHandler(async (_request, reply) => reply.code(404).send('none'))
  }, ['/12345678901']),
  'no matter which case': settings({ caseSensitive: false }, (app) => {
    app.get('/Case/:Id', tell)
  }, ['/cASE/Id', '/case/ID?Q']),
  'no matter which trailing slash': settings({ ignoreTrailingSlash: true }, (app) => {
    app.get('/a', tell).get('/b/', tell).register(async (v1) => { v1.get('/', tell) }, { prefix: '/v1' })
  }, ['/a/', '/b', '/v1', '/v1/', '/']),
  'no matter how many slashes': settings({ ignoreDuplicateSlashes: true }, (app) => {
    app.get('/a/b', tell)
  }, ['//a///b', '/a/b?c=//d']),
  'a semicolon before the query': settings({ useSemicolonDelimiter: true }, (app) => {
    app.get('/a', tell)
  }, ['/a;b=1', '/a?b=1']),
  'a parser for the query': settings({ querystringParser: (text: string) => ({ text }) }, (app) => {
    app.get('/a', tell)
  }, ['/a?b', '/c?d']),
  'a compiled router': {
    fastify: router(OLDEST ? {} : { compile: true, constraints: colour() }),
    app: (app) => {
      if (!OLDEST) coloured(app)
      app.get('/a/:id', tell).get('/w/*', tell)
      app.setNotFoundHandler(async ({ url }, reply) => reply.code(404).send(`none ${url}`))
    },
    ask: [...OLDEST ? [] : COLOURS, '/a/1?b', '/a/%C3%BC', '/w/a/b', '/b']
  },
  rewriteUrl: {
    fastify: { rewriteUrl: (raw) => raw.url!.replace('/old', '/new') },
    app: (app) => { app.get('/new/*', tell) },
    ask: ['/old/a?b', '/new/a', '/other']
  }
}

for (const [name, behaviour] of Object.entries(behaviours)) {
  t.test(`plain Fastify and a proxy app find routes alike: ${name}`, (t) => behavesAlike(t, behaviour))
}
