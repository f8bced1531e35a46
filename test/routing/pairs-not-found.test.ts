/** Not-found handlers of a plugin at the root of plain Fastify and of a proxy app give the same answers. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { behavesAlike, HOOKS, tell } from './pairs'
import type { App, Behaviour } from './pairs'

/** A not-found handler that answers with all that it can see of its request. */
async function tell404 (request: FastifyRequest, reply: FastifyReply): Promise<object> {
  reply.code(404)
  return await tell(request)
}

const callNotFound = (_request: FastifyRequest, reply: FastifyReply): void => { reply.callNotFound() }

/** A hook that leaves a field on the response. */
const mark = (name: string, value: string) => async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
  reply.header(name, value)
}

async function hide (request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (request.url === '/hidden') reply.callNotFound()
}

/** Requests for `/a` by methods that the types of Fastify may not know. */
const byMethod = (...methods: string[]) => methods.map((method) => ({ method: method as 'GET', url: '/a' }))

/** Sets Fastify's own handler, by a call without arguments as Fastify itself makes it. */
function setFastifysOwn (app: FastifyInstance): void {
  (app as unknown as { setNotFoundHandler: () => void }).setNotFoundHandler()
}

const handled: App = (app) => {
  app.setNotFoundHandler(tell404)
  app.get('/a', async () => 'a')
}

const behaviours: Record<string, Behaviour> = {
  'a path without a route': {
    app: handled,
    ask: ['/a', '/b?c=d', '/', '/a/', '/a%20b'],
    expect: [200, 404, 404, 404, 404]
  },
  'every method that Fastify routes': {
    app: handled,
    ask: byMethod('HEAD', 'DELETE', 'OPTIONS', 'PATCH', 'PUT', 'POST', 'TRACE'),
    expect: [200, 404, 404, 404, 404, 404, 404]
  },
  'a method that Fastify does not route': {
    app: handled,
    ask: byMethod('LOCK', 'MKCOL', 'PROPFIND'),
    expect: [404, 404, 404]
  },
  'a body that has a parser': {
    app: handled,
    ask: [{ method: 'POST', url: '/b', payload: { c: 'd' } }],
    expect: [404]
  },
  'a body that has no parser': {
    app: handled,
    ask: ['application/xml', 'application/x-www-form-urlencoded', 'nonsense'].map((type) => ({
      method: 'POST', url: '/b', headers: { 'content-type': type }, payload: '<a/>'
    })),
    // The oldest Fastify takes what is no content type for one without a parser.
    expect: [404, 404, OLDEST ? 404 : 415]
  },
  'a body that cannot be parsed': {
    app: handled,
    ask: [{ method: 'POST', url: '/b', headers: { 'content-type': 'application/json' }, payload: '{' }],
    expect: [400]
  },
  'its preHandler and preValidation': {
    app: (app) => {
      app.setNotFoundHandler({
        preValidation: mark('x-validation', '1'),
        preHandler: [mark('x-handler', '1')]
      }, tell404)
    },
    ask: ['/b'],
    expect: [404]
  },
  'the hooks of its context': {
    app: (app, note) => {
      for (const hook of HOOKS) app.addHook(hook, async ({ is404 }: FastifyRequest) => { note(hook, is404) })
      app.setNotFoundHandler(tell404)
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
      app.register(async (v2) => {
        v2.setNotFoundHandler(async (_request, reply) => reply.code(404).send('v2'))
      }, { prefix: '/v2/' })
      app.register(async (v3) => { v3.get('/a', async () => 'a') }, { prefix: '/v3' })
    },
    ask: ['/b', '/v1', '/v1/', '/v1/a', '/v1/b', '/v1x', '/v2', '/v2/', '/v2/b', '/v3/b'],
    expect: [404, 404, 404, 200, 404, 404, 404, 404, 404, 404]
  },
  'of a context in it': {
    app: (app) => { app.register(async (child) => { child.setNotFoundHandler(tell404) }) },
    ask: ['/b'],
    expect: [404]
  },
  'of a context with the prefix /': {
    app: (app) => {
      app.register(async (child) => { child.setNotFoundHandler(tell404) }, { prefix: '/' })
      app.get('/call', callNotFound)
    },
    ask: ['/b', '/call'],
    expect: [404, 404]
  },
  'in a plugin that is wrapped': {
    app: (app) => { app.register(Object.assign(handled, { [Symbol.for('skip-override')]: true }) as never) },
    ask: ['/b'],
    expect: [404]
  },
  'none at all': {
    app: (app) => { app.get('/a', async () => 'a') },
    ask: ['/b', { method: 'POST', url: '/b', payload: 'x' }],
    expect: [404, 404]
  },
  "Fastify's own": { app: setFastifysOwn, ask: ['/b'], expect: [404] },
  'after others of its own': {
    app: (app) => {
      setFastifysOwn(app)
      app.setNotFoundHandler(tell404)
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
        const seen = [request.getDecorator('colour'), reply.getDecorator('shade'), this.getDecorator('tone')]
        return reply.code(404).send(seen)
      })
    },
    ask: ['/b'],
    expect: [404]
  },
  'after methods that are added later': {
    app: (app) => {
      app.addHttpMethod('MKCOL', { hasBody: true }).addHttpMethod('LOCK')
      app.route({ method: 'MKCOL', url: '/a', handler: async ({ body }) => ({ body }) })
      app.setNotFoundHandler(tell404)
    },
    ask: [
      { method: 'MKCOL' as 'GET', url: '/a', payload: { b: 1 } },
      { method: 'MKCOL' as 'GET', url: '/b', payload: { b: 1 } },
      { method: 'LOCK' as 'GET', url: '/b' }
    ],
    expect: [200, 404, 404]
  },
  'callNotFound from a handler': {
    app: (app) => {
      const body = { type: 'object', properties: { none: { type: 'string' } } }
      app.setNotFoundHandler({ preHandler: mark('x-handler', '1') }, tell404)
      app.get('/a', { schema: { response: { '4xx': body } } }, callNotFound)
      app.get('/async', async (_request, reply) => reply.callNotFound())
      app.register(async (v1) => { v1.get('/a', callNotFound) }, { prefix: '/v1' })
    },
    ask: ['/a', '/async', '/v1/a'],
    expect: [404, 404, 404]
  },
  'callNotFound from a hook that was there first': {
    app: (app) => {
      app.addHook('onRequest', hide)
      app.get('/hidden', async () => 'hidden')
      app.setNotFoundHandler(tell404)
    },
    ask: ['/hidden'],
    expect: [404]
  },
  'callNotFound from a hook of the root': {
    root: (app) => { app.addHook('onRequest', hide) },
    app: (app) => {
      app.get('/hidden', async () => 'hidden')
      app.setNotFoundHandler(tell404)
    },
    ask: ['/hidden'],
    expect: [404]
  },
  'callNotFound from a not-found handler': {
    app: (app) => { app.setNotFoundHandler(callNotFound) },
    ask: ['/b'],
    expect: [404]
  },
  'callNotFound where there is no handler': {
    app: (app) => { app.get('/a', callNotFound) },
    ask: ['/a'],
    expect: [404]
  },
  'callNotFound with the onSend of its route': {
    app: (app) => {
      app.get('/a', { onSend: mark('x-send', 'route') }, callNotFound)
      app.setNotFoundHandler(tell404)
    },
    ask: ['/a'],
    expect: [404]
  },
  'a second one': {
    app: (app, note) => {
      const tryAgain = (context: FastifyInstance): void => {
        try { context.setNotFoundHandler(tell404) } catch (err) { note((err as Error).message) }
      }
      app.setNotFoundHandler(tell404)
      tryAgain(app)
      app.register(async (child) => { tryAgain(child) })
      app.register(async (v1) => {
        v1.setNotFoundHandler(tell404)
        tryAgain(v1)
      }, { prefix: '/v1' })
    }
  }
}

for (const [name, behaviour] of Object.entries(behaviours)) {
  t.test(`plain Fastify and a proxy app give the same answers by a not-found handler: ${name}`, (t) => {
    return behavesAlike(t, behaviour)
  })
}
