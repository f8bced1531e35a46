/** Every setting of Fastify's router holds for the routes of proxy apps. */
import type { FastifyPluginAsync } from 'fastify'
import t from 'tap'
import { router } from '../support/oldest'
import { withApp } from './support'

t.test('settings of the router hold for a proxy app, and leave private routes alone', async (t) => {
  const app: FastifyPluginAsync = async (app) => {
    app.get('/Case', async ({ url }) => `case ${url}`)
    app.get('/slash/', async ({ url }) => `slash ${url}`)
    app.get('/a/b', async ({ url }) => `duplicate ${url}`)
    app.get('/query', async ({ query }) => query)
    app.get('/:long/x', async ({ params }) => params)
  }
  const settings: Array<[routerOptions: object, target: string, body: string]> = [
    [{ caseSensitive: false }, '/cASE?Q', 'case /cASE?Q'],
    [{ ignoreTrailingSlash: true }, '/slash', 'slash /slash'],
    [{ ignoreTrailingSlash: true }, '/Case/', 'case /Case/'],
    [{ ignoreDuplicateSlashes: true }, '//a///b', 'duplicate //a///b'],
    [{ useSemicolonDelimiter: true }, '/query;a=1', '{"a":"1"}'],
    [{ querystringParser: (text: string) => ({ text }) }, '/query?a', '{"text":"a"}'],
    [{ maxParamLength: 200 }, `/${'x'.repeat(150)}/x`, `{"long":"${'x'.repeat(150)}"}`]
  ]
  for (const [routerOptions, target, body] of settings) {
    const proxy = await withApp(t, router(routerOptions), app)
    t.equal((await proxy.get(`http://app.test${target}`)).body, body, Object.keys(routerOptions).join())
    t.equal((await proxy.get('http://bad@app.test/')).status, 400, 'ours are found as well')
    t.equal((await proxy.connect('app.test:80')).response.status, 200)
  }
})

t.test('HEAD routes are there where the application has them', async (t) => {
  const proxy = await withApp(t, { exposeHeadRoutes: false }, async (app) => {
    app.get('/', async () => 'app')
    app.get('/with', { exposeHeadRoute: true }, async () => 'app')
  })
  t.equal((await proxy.ask('HEAD', 'http://app.test/')).status, 404)
  t.equal((await proxy.ask('HEAD', 'http://app.test/with')).status, 200)
})

t.test('other constraints hold in a proxy app and for a proxy host', async (t) => {
  type Raw = { headers: Record<string, string | undefined> }
  const later = ({ headers }: Raw, _context: unknown, done: (err: Error | null, value?: string) => void): void => {
    setImmediate(() => done(null, headers['x-colour']))
  }
  const strategies = { sync: ({ headers }: Raw) => headers['x-colour'], async: later }
  for (const [name, deriveConstraint] of Object.entries(strategies)) {
    const colour = { name: 'colour', storage: () => new Map(), validate: () => {}, deriveConstraint }
    t.test(name, async (t) => {
      const proxy = await withApp(t, router({ constraints: { colour } }), async (app) => {
        app.get('/', { constraints: { colour: 'red' } }, async () => 'red app')
        app.get('/', async ({ url }) => `app ${url}`)
      }, (app) => {
        app.get('/*', { constraints: { colour: 'red' } }, async () => 'red main')
        app.get('/one', { constraints: { colour: 'red', proxyHost: 'one.test' } }, async () => 'red one')
        app.get('/*', async () => 'main')
      })
      t.equal((await proxy.get('http://app.test/', { 'x-colour': 'red' })).body, 'red app')
      t.equal((await proxy.get('http://one.test/one', { 'x-colour': 'red' })).body, 'red one')
      t.equal((await proxy.get('http://one.test/one', { 'x-colour': 'blue' })).body, 'main')
      t.equal((await proxy.get('http://app.test/')).body, 'app /')
      t.equal((await proxy.get('http://app.test/a', { 'x-colour': 'red' })).body, 'red main')
      t.equal((await proxy.get('http://app.test/a')).body, 'main')
      t.equal((await proxy.get('http://bad@app.test/')).status, 400)
    })
  }
})
