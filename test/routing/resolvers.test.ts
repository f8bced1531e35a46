/** Resolvers: from the URL that a client asked for to a URL of the application. */
import { EventEmitter, once } from 'node:events'
import http2 from 'node:http2'
import t from 'tap'
import { fixedResolver } from '../../plugin/index'
import type fastifyProx from '../../plugin/index'
import { basic } from '../support/basic'
import { echo } from '../support/echo'
import { start } from '../support/proxy'
import { connect, jsonOf } from '../support/raw'
import { challenge, statusOf } from './support'

type ProxyResolver = fastifyProx.ProxyResolver
type ResolverContext = fastifyProx.ResolverContext

t.test('fixedResolver puts a prefix before the URL', async (t) => {
  t.equal(fixedResolver()('http://a/', {} as ResolverContext), '/http://a/')
  t.equal(fixedResolver('/p/')('http://a/', {} as ResolverContext), '/p/http://a/')
  t.throws(() => fixedResolver('p'), { code: 'FST_PROX_INVALID_OPTION' })
  const { app } = await start(t, { prox: { resolver: '/p' } })
  t.equal(app.proxyResolver('http://a/', {} as ResolverContext), '/phttp://a/')
})

t.test('requireAuth that answers neither a realm nor nothing lets nobody in', async (t) => {
  let answer: unknown
  let ran = 0
  const resolver = Object.assign((url: string) => `/${url}`, { requireAuth: () => answer as string })
  const proxy = await start(t, { prox: { resolver } }, (app) => { app.get('/*', async () => { ran++ }) })
  const answers: Array<[answer: unknown, shown: string]> = [
    [true, 'true'],
    [false, 'false'],
    [0, 'a number'],
    [407, 'a number'],
    [{ realm: 's3cr3t' }, 'an object'],
    [['s3cr3t'], 'an array'],
    [new Error('s3cr3t'), 'an Error'],
    [() => 's3cr3t', 'a function'],
    [Symbol('s3cr3t'), 'a symbol'],
    [Promise.resolve(1), 'a number']
  ]
  for (const [value, shown] of answers) {
    answer = value
    const message = `requireAuth has to answer a realm, null or undefined, and answered ${shown}`
    const { status, body } = await proxy.get('http://example.com/')
    t.equal(status, 500, shown)
    t.match(JSON.parse(body), { code: 'FST_PROX_BAD_REALM', message })
    const { response } = await proxy.connect('example.com:443')
    t.equal(response.status, 500)
    t.match(JSON.parse(response.body), { code: 'FST_PROX_BAD_REALM', message })
    t.equal((await proxy.app.injectProxy('https://example.com/')).statusCode, 500)
  }
  t.equal(ran, 0)
  for (answer of [null, undefined, Promise.resolve(null)]) t.equal(await statusOf(proxy, 'http://example.com/'), 200)
  answer = ''
  t.equal(await statusOf(proxy, 'http://example.com/'), 407, 'a realm may be empty')
})

t.test("a resolver of one's own", async (t) => {
  t.test('may answer now or later', async (t) => {
    const resolvers: ProxyResolver[] = [
      (url) => `/sync/${url}`,
      async (url) => `/async/${url}`,
      (url) => ({ then: (resolve: (url: string) => void) => { resolve(`/thenable/${url}`) } }) as Promise<string>
    ]
    for (const [i, resolver] of resolvers.entries()) {
      const proxy = await start(t, { prox: { resolver } }, echo)
      const prefix = ['sync', 'async', 'thenable'][i]
      t.equal((await jsonOf(proxy.get('http://example.com/'))).url, `/${prefix}/http://example.com/`)
      t.equal((await jsonOf(proxy.get('https://example.com/'))).url, `/${prefix}/https://example.com/`)
    }
  })

  t.test('sees the URL and the request', async (t) => {
    const seen: object[] = []
    const resolver: ProxyResolver = (url, { raw, ...context }) => {
      const { 'x-a': field, 'proxy-authorization': secret } = raw.headers
      seen.push({ url, ...context, target: raw.url, 'x-a': field, secret })
      return '/'
    }
    const proxy = await start(t, { prox: { resolver } }, echo)
    await (await proxy.client()).ask('GET', 'http://Example.com:8080/a?b', { ...basic('user:secret'), 'x-a': '1' })
    const client = await proxy.tls('example.com:443', {}, basic('user:secret'))
    await client.ask('GET', '/c')
    const credentials = { username: 'user', password: 'secret' }
    t.match(seen[0], {
      url: 'http://example.com:8080/a?b',
      target: 'http://Example.com:8080/a?b',
      remoteAddress: '127.0.0.1',
      credentials,
      tunnel: null,
      'x-a': '1',
      secret: undefined
    })
    t.match(seen[1], {
      url: 'https://example.com/c',
      target: '/c',
      remoteAddress: '127.0.0.1',
      credentials,
      tunnel: { authority: 'example.com:443', servername: 'example.com' }
    })
  })

  t.test('that throws or rejects ends in the error handler, whatever the body', async (t) => {
    const thrown: Record<string, unknown> = {
      error: Object.assign(new Error('not today'), { statusCode: 403 }),
      object: { statusCode: 403, message: 'not today' },
      string: 'not today',
      nothing: undefined,
      null: null,
      zero: 0
    }
    const resolver: ProxyResolver = (url) => {
      const { pathname, hostname } = new URL(url)
      const what = thrown[pathname.slice(1)]
      if (hostname === 'throws.test') throw what
      return Promise.reject(what)
    }
    let ran = 0
    const proxy = await start(t, { prox: { resolver } }, (app) => {
      app.setErrorHandler(async (err, request, reply) => {
        const thrown = typeof err === 'object' ? err : { message: String(err) }
        const { code, message, statusCode = 500 } = thrown as { code?: string, message: string, statusCode?: number }
        reply.code(statusCode)
        const { url, proxy, headers } = request
        return { code, message, url, proxied: proxy?.url, secret: headers['proxy-authorization'] ?? null }
      })
      app.all('/*', async () => { ran++ })
    })
    const expected: Record<string, object> = {
      error: { message: 'not today' },
      object: { message: 'not today' },
      string: { code: 'FST_PROX_NO_RESOLUTION' },
      nothing: { code: 'FST_PROX_NO_RESOLUTION' },
      null: { code: 'FST_PROX_NO_RESOLUTION' },
      zero: { code: 'FST_PROX_NO_RESOLUTION' }
    }
    for (const host of ['throws.test', 'rejects.test']) {
      const client = await proxy.client()
      const tunnel = await proxy.tls(`${host}:443`)
      for (const [what, answer] of Object.entries(expected)) {
        const headers = { 'content-type': 'x/odd', ...basic('user:secret') }
        const absolute = await client.ask('POST', `http://${host}/${what}`, headers, 'x'.repeat(3_000_000))
        const url = `http://${host}/${what}`
        t.match(JSON.parse(absolute.body), { ...answer, url, proxied: url, secret: null })
        const tunnelled = await tunnel.ask('PUT', `/${what}`, { 'content-type': 'x/odd' }, 'content')
        t.match(JSON.parse(tunnelled.body), { ...answer, url: `/${what}`, proxied: `https://${host}/${what}` })
        t.equal(tunnelled.status, what === 'error' || what === 'object' ? 403 : 500)
      }
    }
    t.equal(ran, 0)
  })

  t.test('that answers no URL ends in an error', async (t) => {
    const rubbish: unknown[] = ['', 'a', 'http://example.com/', undefined, null, 5, {}, [], Symbol('a'), () => {}]
    let answer: unknown
    let later = false
    const resolver = (): string | Promise<string> => (later ? Promise.resolve(answer) : answer) as string
    let ran = 0
    const proxy = await start(t, { prox: { resolver } }, (app) => { app.get('/*', async () => { ran++ }) })
    for (answer of rubbish) {
      for (later of [false, true]) {
        t.match(await proxy.get('http://example.com/'), {
          status: 500,
          body: /FST_PROX_BAD_RESOLUTION.*begins with .*"\/.*, and answered /
        })
      }
    }
    t.equal(ran, 0)
  })

  t.test('may ask for credentials in its own way', async (t) => {
    const resolver: ProxyResolver = Object.assign((url: string) => `/${url}`, {
      requireAuth: async ({ raw, credentials, remoteAddress }: ResolverContext) => {
        if (raw.headers['x-fail'] !== undefined) throw new Error('requireAuth failed')
        return remoteAddress === '127.0.0.1' && credentials?.password === 'open' ? undefined : 'cave'
      }
    })
    const proxy = await start(t, { prox: { resolver } }, echo)
    t.match(await proxy.get('http://example.com/'), { status: 407, headers: challenge('cave') })
    t.equal(await statusOf(proxy, 'http://example.com/', basic('ali:open')), 200)
    t.match(await proxy.get('http://example.com/', { 'x-fail': '1' }), { status: 500, body: /requireAuth failed/ })
    t.equal((await proxy.connect('example.com:443', basic('ali:baba'))).response.status, 407)
    t.equal((await proxy.tls('example.com:443', {}, basic('ali:open'))).socket.authorized, true)
  })
})

t.test('nothing runs for a client that has left while a resolver thinks', async (t) => {
  const events = new EventEmitter()
  let ran = 0
  const resolver: ProxyResolver = async (url) => {
    events.emit('asked')
    await once(events, 'answer')
    events.emit('answered')
    return `/${url}`
  }
  const proxy = await start(t, { prox: { resolver } }, (app) => {
    app.addHook('onRequest', async (request) => { if (request.method !== 'CONNECT') ran++ })
    app.post('/*', async () => 'ok')
  })
  proxy.app.server.on('connection', (socket) => { socket.once('close', () => events.emit('gone')) })

  const ways = {
    absolute: async () => ({ client: await proxy.client(), target: 'http://example.com/' }),
    tunnelled: async () => ({ client: await proxy.tunnel('example.com:80'), target: '/' }),
    'with TLS': async () => ({ client: await proxy.tls('example.com:443'), target: '/' })
  }
  for (const [name, way] of Object.entries(ways)) {
    t.test(name, async (t) => {
      const { client, target } = await way()
      const asked = once(events, 'asked')
      client.write(`POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nab`)
      await asked
      const left = once(events, 'gone')
      client.socket.destroy()
      await left
      const answered = once(events, 'answered')
      events.emit('answer')
      await answered
      await new Promise(setImmediate)
      t.equal(ran, 0, 'nothing is run for nobody')
    })
  }

  t.test('with HTTP/2', async (t) => {
    const tunnel = await proxy.tls('example.com:443', { ALPNProtocols: ['h2'] })
    const session = http2.connect('https://example.com', { createConnection: () => tunnel.detach() })
    const asked = once(events, 'asked')
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-type': 'text/plain' })
    stream.on('error', () => {})
    stream.write('ab')
    await asked
    const left = once(events, 'gone')
    session.destroy()
    await left
    const answered = once(events, 'answered')
    events.emit('answer')
    await answered
    await new Promise(setImmediate)
    t.equal(ran, 0)
  })

  t.test('and those who stay are answered', async (t) => {
    const client = await connect(t, proxy.connection)
    const asked = once(events, 'asked')
    const response = client.ask('POST', 'http://example.com/', { 'content-type': 'text/plain' }, 'content')
    await asked
    events.emit('answer')
    t.equal((await response).body, 'ok')
    t.equal(ran, 1)
  })
})
