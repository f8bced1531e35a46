/** `proxyDispatcher` and `proxyFetch`, with every version of undici that can be installed beside the plugin. */
import { once } from 'node:events'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { makeDispatcher } from '../../plugin/clients/dispatcher'
import { CertificateAuthority, proxyAuthResolver } from '../../plugin/index'
import { create, start } from '../support/proxy'
import { replaceUndici, UNDICI } from '../support/undici'

const PROX = { resolver: '/prefix/' }

function routes (app: FastifyInstance): void {
  app.addContentTypeParser('*', async (request: unknown, payload: Readable) => await text(payload))
  app.all('/prefix/*', async ({ url, method, body }) => ({ url, method, body: body ?? null }))
  app.get('/:user/*', async ({ url, proxy }) => ({ url, username: proxy?.username }))
}

const resolver = proxyAuthResolver({
  validate: (username, password) => `${username} ${password}` === 'jane@home s:ü' || username === 'joe'
})

for (const { version, name, skip, load } of UNDICI) {
  t.test(`undici ${version}`, { skip }, async (t) => {
    const undici = load()
    replaceUndici(t, name)

    t.test('a dispatcher is for undici and for the global fetch', async (t) => {
      const { app } = await start(t, { prox: PROX }, routes)
      const dispatcher = app.proxyDispatcher()
      t.teardown(() => dispatcher.close())
      t.ok(dispatcher instanceof undici.ProxyAgent)
      for (const url of ['http://example.com/a', 'https://example.com/a']) {
        const expected = { url: `/prefix/${url}` }
        t.match(await (await fetch(url, { dispatcher })).json(), expected, `global fetch ${url}`)
        t.match(await (await undici.fetch(url, { dispatcher })).json(), expected, `fetch ${url}`)
        t.match(await (await undici.request(url, { dispatcher })).body.json(), expected, `request ${url}`)
        const init = { method: 'POST', body: 'x'.repeat(100_000), dispatcher }
        const { method, body } = init
        const answer = await (await fetch(url, init)).json()
        t.strictSame(answer, { ...expected, method, body }, `global fetch with a body ${url}`)
      }
    })

    t.test('a dispatcher can be the global one', async (t) => {
      const { app } = await start(t, { prox: PROX }, routes)
      const [before, dispatcher] = [undici.getGlobalDispatcher(), app.proxyDispatcher()]
      t.teardown(() => dispatcher.close())
      t.teardown(() => undici.setGlobalDispatcher(before))
      undici.setGlobalDispatcher(dispatcher)
      for (const url of ['http://example.com/a', 'https://example.com/a']) {
        t.match(await (await fetch(url)).json(), { url: `/prefix/${url}` }, `global fetch ${url}`)
        t.match(await (await undici.request(url)).body.json(), { url: `/prefix/${url}` }, `request ${url}`)
      }
    })

    t.test('a dispatcher has the credentials that it was made with', async (t) => {
      const { app } = await start(t, { prox: { resolver } }, routes)
      for (const access of [{ username: 'jane@home', password: 's:ü' }, { username: 'joe' }]) {
        const { username } = access
        const dispatcher = app.proxyDispatcher(access)
        t.teardown(() => dispatcher.close())
        for (const url of ['http://example.com/', 'https://example.com/']) {
          t.match(await (await fetch(url, { dispatcher })).json(), { username })
          t.match(await (await app.proxyFetch(url, { dispatcher })).json(), { username })
        }
      }
      const dispatcher = app.proxyDispatcher({ username: 'jack' })
      t.teardown(() => dispatcher.close())
      await t.rejects(undici.request('http://example.com/', { dispatcher }), { message: /407/ })
    })

    t.test('both reach a server that speaks TLS', async (t) => {
      const ca = await CertificateAuthority.load({ store: new Map() })
      const { key, cert } = await ca.issue('localhost')
      const { app, port } = await start(t, { fastify: { https: { key, cert } }, prox: { ...PROX, ca } }, routes)
      t.equal(app.proxyEnv().HTTP_PROXY, `https://localhost:${port}`, 'by the name that a certificate has')
      t.equal(app.proxyEnv({ hostname: '127.0.0.1' }).HTTP_PROXY, `https://127.0.0.1:${port}`)
      const dispatcher = app.proxyDispatcher()
      t.teardown(() => dispatcher.close())
      const url = 'https://example.com/'
      t.match(await (await undici.request(url, { dispatcher })).body.json(), { url: `/prefix/${url}` })
      t.match(await (await app.proxyFetch(url)).json(), { url: `/prefix/${url}` })
    })

    t.test('proxyFetch is the fetch of undici', async (t) => {
      const { app } = await start(t, { prox: PROX }, routes)
      for (const url of ['http://example.com/a', 'https://example.com/a']) {
        const response = await app.proxyFetch(url, { method: 'PUT', body: 'content' })
        t.ok(response instanceof undici.Response)
        t.strictSame(await response.json(), { url: `/prefix/${url}`, method: 'PUT', body: 'content' })
        t.match(await (await app.proxyFetch(new undici.Request(new URL(url)))).json(), { url: `/prefix/${url}` })
      }
    })

    t.test('the application closes what proxyFetch has opened, read to the end or not', async (t) => {
      const { app } = await start(t, { prox: { ...PROX, timeouts: { close: 100 } } }, (app) => {
        app.get('/prefix/https://endless.example/', async () => Readable.from((async function * () {
          yield 'begun'
          await once(app.server, 'never')
        })()))
        routes(app)
      })
      await (await app.proxyFetch('https://example.com/')).text()
      const response = await app.proxyFetch('https://endless.example/')
      t.equal(response.status, 200)
      await app.close()
      await t.rejects(response.text())
      await t.rejects(app.proxyFetch('https://example.com/'))
    })
  })
}

t.test('the handlers of earlier versions are adapted where undici has an adapter, and no others', async (t) => {
  const dispatched: Array<[name: string, handler: object]> = []
  class Dispatching {
    constructor (readonly name: string) {}

    dispatch (_options: object, handler: object): boolean {
      dispatched.push([this.name, handler])
      return true
    }
  }
  const fake = {
    ProxyAgent: class extends Dispatching { constructor () { super('agent') } },
    Dispatcher1Wrapper: class extends Dispatching { constructor () { super('adapter') } }
  }
  const address = { scheme: 'http', authority: '127.0.0.1:1' } as const
  const { dispatch } = makeDispatcher(fake as unknown as Parameters<typeof makeDispatcher>[0], address, {}, '')
  const [older, newer] = [{ onConnect () {} }, { onRequestStart () {} }]
  for (const handler of [older, newer]) t.ok(dispatch({ path: '/', method: 'GET' }, handler))
  t.strictSame(dispatched, [['adapter', older], ['agent', newer]])
})

t.test('without undici there is neither a dispatcher nor proxyFetch', async (t) => {
  const { app } = await start(t)
  const cause = replaceUndici(t, null)
  const code = 'FST_PROX_NO_UNDICI'
  const message = /^proxyDispatcher\(\) needs undici 7 or 8, .* npm install/
  t.throws(() => app.proxyDispatcher(), { code, message, cause })
  await t.rejects(app.proxyFetch('http://example.com/'), { code, message: /^proxyFetch\(\) needs undici/, cause })
})

t.test('both need a port', async (t) => {
  const { app } = await create(t)
  await t.rejects(app.proxyFetch('http://example.com/'), { code: 'FST_PROX_NOT_LISTENING' })
  t.throws(() => app.proxyDispatcher(), { code: 'FST_PROX_NOT_LISTENING', message: /^proxyDispatcher\(\) needs/ })
  await app.listen({ path: join(t.testdir(), 'proxy.sock') })
  await t.rejects(app.proxyFetch('http://example.com/'), { code: 'FST_PROX_UNIX_SOCKET', message: /^proxyFetch\(\)/ })
  t.throws(() => app.proxyDispatcher(), { code: 'FST_PROX_UNIX_SOCKET' })
})

t.test('options that are none are refused', async (t) => {
  const { app } = await start(t)
  t.throws(() => app.proxyDispatcher({ user: 'jane' } as object), {
    code: 'FST_PROX_UNKNOWN_OPTION',
    message: 'There is no option "user". The options are hostname, username, password'
  })
})
