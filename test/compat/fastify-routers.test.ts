/** Registration refuses a Fastify or a find-my-way that works otherwise than `plugin/compat` relies on. */
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { isRoot, routersOf } from '../../plugin/compat/fastify-routers'
import type { Router } from '../../plugin/compat/find-my-way'

function symbolOf (app: object, name: string): symbol {
  return Object.getOwnPropertySymbols(app).find(({ description }) => description === name)!
}

interface FourOhFour { router: Router | undefined }

/** A new Fastify, and the object with its not-found handlers. */
function internals (): { app: FastifyInstance, fourOhFour: FourOhFour } {
  const app = Fastify()
  const property = symbolOf(app, 'fastify.404') as keyof FastifyInstance
  return { app, fourOhFour: app[property] as unknown as FourOhFour }
}

function refuses (t: Test, app: FastifyInstance, difference: string): void {
  const advice = 'Update fastify-prox, or use an older Fastify 5'
  t.throws(() => routersOf(app), {
    code: 'FST_PROX_UNSUPPORTED_FASTIFY',
    message: `fastify-prox cannot work with Fastify ${app.version}: ${difference}. ${advice}`
  }, difference)
}

t.test('finds the routers of the Fastify that is there', async (t) => {
  const { app, fourOhFour } = internals()
  const { router, notFoundRouter } = routersOf(app)
  app.get('/a', async () => 'a')
  t.equal(notFoundRouter, fourOhFour.router)
  t.equal(router.find('GET', '/a') === null, false)
  t.equal(router.hasConstraintStrategy('none'), false, 'its class is left as it was')
  t.notOk(Object.hasOwn(router, 'hasConstraintStrategy'))
})

t.test('refuses a Fastify that lacks what is relied on, and says what', async (t) => {
  for (const name of ['fastify.404', 'fastify.404ContextKey']) {
    const { app } = internals()
    Reflect.deleteProperty(app, symbolOf(app, name))
    refuses(t, app, `it has no Symbol(${name})`)
  }
  const without = internals()
  without.fourOhFour.router = undefined
  refuses(t, without.app, 'its not-found handlers are not where they were')
  const hidden = internals()
  Object.assign(hidden.app, { hasConstraintStrategy: () => false })
  refuses(t, hidden.app, 'its routes are not where they were')
  const lacking = internals()
  Object.assign(lacking.fourOhFour.router!, { prettyPrint: undefined })
  refuses(t, lacking.app, 'its router has no method prettyPrint')
})

t.test('refuses a router whose lookup does not go by find', async (t) => {
  const { app, fourOhFour } = internals()
  type RouterClass = new (options: object) => Router
  const { constructor: Original } = Object.getPrototypeOf(fourOhFour.router) as { constructor: RouterClass }
  class Otherwise extends Original {
    override lookup (): unknown { return undefined }
  }
  fourOhFour.router = new Otherwise({})
  refuses(t, app, 'in its router, lookup does not go by find')
})

t.test('refuses a Fastify that adds routes otherwise', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { router } = routersOf(app)
  const { on } = router
  Object.defineProperty(router, 'on', { get: () => on, set: () => {} })
  app.register(fastifyProx, { ca: { store: new Map() } })
  await t.rejects(async () => { await app.ready() }, {
    code: 'FST_PROX_UNSUPPORTED_FASTIFY',
    message: /it adds routes otherwise/
  })
})

t.test('knows the root from the context of a plugin', async (t) => {
  const { app } = internals()
  t.equal(isRoot(app), true)
  await app.register(async (child) => { t.equal(isRoot(child), false) })
  await app.ready()
})
