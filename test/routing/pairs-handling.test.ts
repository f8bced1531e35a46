/** What plugins at the root of plain Fastify and of a proxy app do with a request behind its route is the same. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import { OLDEST } from '../support/oldest'
import { behavesAlike, HOOKS, tell } from './pairs'
import type { Behaviour, Note } from './pairs'

async function notedHooks (app: FastifyInstance, note: Note, name: string): Promise<void> {
  for (const hook of HOOKS) {
    app.addHook(hook, async ({ url, routeOptions }: FastifyRequest) => { note(name, hook, url, routeOptions.url) })
  }
}

const behaviours: Record<string, Behaviour> = {
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
  'a hook that answers': {
    app: (app) => {
      app.addHook('onRequest', async (_request, reply) => reply.code(401).send('no'))
      app.get('/a', tell)
    },
    ask: ['/a', '/b']
  },
  'a hook that throws': {
    app: (app) => {
      app.addHook('preHandler', async () => { throw new Error('in the hook') })
      app.get('/a', tell)
    },
    ask: ['/a']
  },
  'errors and their handlers': {
    app: (app, note) => {
      app.addHook('onError', async (_request, _reply, err) => { note('onError', err.message) })
      app.setErrorHandler(async (err: Error, _request, reply) => reply.code(418).send(`app ${err.message}`))
      app.get('/a', async () => { throw new Error('a') })
      app.get('/own', {
        errorHandler: (_err, _request, reply) => { reply.code(419).send('own') }
      }, async () => { throw new Error('a') })
      app.register(async (child) => {
        child.setErrorHandler(async (err) => { throw err })
        child.get('/child', async () => { throw new Error('child') })
      })
      app.get('/status', async (_request, reply) => {
        reply.code(503)
        throw Object.assign(new Error('status'), { statusCode: 410 })
      })
    },
    ask: ['/a', '/own', '/child', '/status']
  },
  "Fastify's own error handler": {
    app: (app) => { app.get('/a', async () => { throw new Error('a') }) },
    ask: ['/a'],
    expect: [500]
  },
  'bodies and their parsers': {
    app: (app) => {
      app.addContentTypeParser('text/upper', { parseAs: 'string' }, (_request, body, done) => {
        done(null, String(body).toUpperCase())
      })
      app.post('/a', tell)
      app.register(async (child) => {
        child.removeAllContentTypeParsers()
        child.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => { done(null, body) })
        child.post('/any', tell)
      })
      app.post('/small', { bodyLimit: 3 }, tell)
    },
    ask: [
      ['/a', 'text/upper'],
      ['/a', 'application/xml'],
      ['/a', 'application/json'],
      ['/any', 'application/xml'],
      ['/small', 'text/plain']
    ].map(([url, type]) => ({ method: 'POST', url: url!, headers: { 'content-type': type }, payload: '"body"' }))
  },
  'schemas of requests and responses': {
    app: (app) => {
      app.addSchema({ $id: 'n', type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] })
      const body = { $ref: 'n#' }
      const schema = { body, response: { 200: body } }
      app.post('/a', { schema }, async ({ body }) => ({ ...body as object, extra: 1 }))
      app.get('/q', { schema: { querystring: body } }, async ({ query }) => query)
      const attached = { attachValidation: true, schema: { querystring: body } }
      app.get('/attached', attached, async ({ validationError }) => ({ message: validationError?.message }))
      app.register(async (child) => {
        child.setSchemaErrorFormatter((errors) => new Error(`formatted ${errors.length}`))
        child.get('/formatted', { schema: { querystring: body } }, tell)
        child.setValidatorCompiler(() => () => false)
        child.get('/never', { schema: { querystring: body } }, tell)
        child.setSerializerCompiler(() => () => '"compiled"')
        child.get('/compiled', { schema: { response: { 200: body } } }, tell)
        child.setReplySerializer(() => 'serialized')
        child.get('/serialized', tell)
      })
    },
    ask: [
      { method: 'POST', url: '/a', payload: { n: 1 } },
      { method: 'POST', url: '/a', payload: {} },
      '/q?n=1',
      '/q?n=x',
      '/attached?n=x',
      '/formatted',
      '/never?n=1',
      '/compiled',
      '/serialized'
    ]
  },
  decorators: {
    root: (app) => { app.decorate('ofRoot', 'root').decorateRequest('mark', 'root') },
    app: (app, note) => {
      app.decorate('ofApp', 'app').decorateRequest('mine', 'app').decorateReply('ours', 'app')
      note(app.hasDecorator('ofRoot'), app.hasRequestDecorator('mark'), app.hasDecorator('ofApp'))
      app.get('/a', async function (request, reply) {
        return [
          this.getDecorator('ofRoot'),
          this.getDecorator('ofApp'),
          request.getDecorator('mark'),
          request.getDecorator('mine'),
          reply.getDecorator('ours')
        ]
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
      app.get('/a', tell)
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
      app.get('/stream', (_request, reply) => { reply.type('text/plain').send(Readable.from(['a', 'b'])) })
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
      app.register(async (child) => {
        child.get('/a', async (): Promise<unknown> => (child as unknown as { tone: string }).tone)
      })
    },
    ask: ['/a', '/none']
  },
  'time limits of handlers': {
    fastify: (OLDEST ? {} : { handlerTimeout: 20 }) as object,
    app: (app) => { app.get('/slow/:id', (_request: FastifyRequest, _reply: FastifyReply) => {}) },
    ask: OLDEST ? [] : ['/slow/1']
  }
}

for (const [name, behaviour] of Object.entries(behaviours)) {
  t.test(`plain Fastify and a proxy app handle alike: ${name}`, (t) => behavesAlike(t, behaviour))
}
