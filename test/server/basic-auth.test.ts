/** `@fastify/basic-auth` with `proxyMode`, as a hook of the root, asks for credentials for the proxy. */
import basicAuth from '@fastify/basic-auth'
import t from 'tap'
import type { Test } from 'tap'
import { basic } from '../support/basic'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'

async function serve (t: Test): Promise<Proxy> {
  return await start(t, { prox: { resolver: '/prefix/' } }, async (app) => {
    await app.register(basicAuth, {
      proxyMode: true,
      authenticate: { realm: 'here' },
      validate: async (username, password) => {
        if (username !== 'jane' || password !== 'secret') throw new Error('nobody')
      }
    })
    app.addHook('onRequest', (request, reply, done) => {
      // The CONNECT was asked for credentials; what comes in its tunnel has none.
      if (request.proxy !== null && request.proxy.tunnel !== null) return done()
      app.basicAuth(request, reply, done)
    })
    app.get('/prefix/*', async ({ proxy, headers, raw }) => ({
      url: proxy!.url,
      secret: headers['proxy-authorization'] ?? raw.headers['proxy-authorization'] ?? null,
      raw: raw.rawHeaders.join()
    }))
  })
}

const CHALLENGE = { 'proxy-authenticate': 'Basic realm="here"' }
const REFUSED = [undefined, 'jane:', 'jane:wrong', 'joe:secret', 'jane']

t.test('a request in absolute-form gets by with the right credentials, which no route sees', async (t) => {
  const proxy = await serve(t)
  for (const text of REFUSED) {
    const { status, headers } = await proxy.get('http://example.com/a', text === undefined ? {} : basic(text))
    t.equal(status, 407, String(text))
    t.match(headers, CHALLENGE)
  }
  const { status, body } = await proxy.get('http://example.com/a', basic('jane:secret'))
  t.equal(status, 200)
  const told = JSON.parse(body)
  t.match(told, { url: 'http://example.com/a', secret: null })
  t.notMatch(told.raw, /proxy-authorization/i)
})

t.test('a CONNECT gets by with the right credentials, and so does what comes in its tunnel', async (t) => {
  const proxy = await serve(t)
  for (const text of REFUSED) {
    const headers = text === undefined ? {} : basic(text)
    const { response } = await proxy.connect('example.com:443', headers)
    t.match(response, { status: 407, headers: { ...CHALLENGE, connection: 'close' } })
  }
  const client = await proxy.tls('example.com:443', {}, basic('jane:secret'))
  t.match(JSON.parse((await client.ask('GET', '/a')).body), { url: 'https://example.com/a', secret: null })
})

t.test('an injected request in absolute-form is asked as well', async (t) => {
  const { app } = await serve(t)
  const url = 'http://example.com/a'
  t.equal((await app.injectProxy(url)).statusCode, 407)
  t.equal((await app.injectProxy({ url, headers: basic('jane:secret') })).statusCode, 200)
})
