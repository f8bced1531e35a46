/** Resolvers: from the URL that a client asked for to a URL of the application, and who has to say who they are. */
import { EventEmitter, once } from 'node:events'
import http2 from 'node:http2'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { fixedResolver, proxyAuthResolver } from '../../plugin/index'
import type fastifyProx from '../../plugin/index'
import { connect } from '../support/raw'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'

type ProxyResolver = fastifyProx.ProxyResolver
type ResolverContext = fastifyProx.ResolverContext
type ConnectContext = fastifyProx.ConnectContext

function telling (app: FastifyInstance): void {
  app.all('/*', async ({ method, url, params, headers, body, proxy }) => ({ method, url, params, headers, body: body ?? null, proxy }))
}

function basic (userinfo: string | Buffer): Record<string, string> {
  return { 'proxy-authorization': `Basic ${Buffer.from(userinfo).toString('base64')}` }
}

async function statusOf (proxy: Proxy, url: string, headers?: Record<string, string>): Promise<number> {
  return (await proxy.get(url, headers)).status
}

t.test('fixedResolver', async (t) => {
  t.equal(fixedResolver()('http://a/', {} as ResolverContext), '/http://a/')
  t.equal(fixedResolver('/p/')('http://a/', {} as ResolverContext), '/p/http://a/')
  t.throws(() => fixedResolver('p'), { code: 'FST_PROX_INVALID_OPTION' })
  const { app } = await start(t, { prox: { resolver: '/p' } })
  t.equal(app.proxyResolver('http://a/', {} as ResolverContext), '/phttp://a/')
})

t.test('proxyAuthResolver', async (t) => {
  const proxy = await start(t, { prox: { resolver: proxyAuthResolver() } }, telling)

  t.test('asks for credentials in absolute-form', async (t) => {
    const client = await proxy.client()
    const without = [{}, { 'proxy-authorization': 'Bearer abc' }, { 'proxy-authorization': 'Basic' }, { 'proxy-authorization': 'Basic %%' },
      { authorization: `Basic ${Buffer.from('user:').toString('base64')}` }, basic('no colon'), basic(':password')]
    for (const headers of without) {
      const { status, headers: { 'proxy-authenticate': challenge }, body } = await client.ask('POST', 'http://example.com/', { 'content-type': 'odd/type', ...headers }, 'content')
      t.equal(status, 407)
      t.equal(challenge, 'Basic realm="Please enter prefix path", charset="UTF-8"')
      t.match(JSON.parse(body), { code: 'FST_PROX_AUTH_REQUIRED', statusCode: 407 })
    }
    t.match(await client.ask('GET', 'http://fastify-prox/download/pem'), { status: 407 }, 'hosts of the application are no exception')
    t.equal((await client.ask('GET', '/direct')).status, 200, 'but direct requests are')
  })

  t.test('makes the user name the prefix', async (t) => {
    const client = await proxy.client()
    const usernames = ['user', 'a b', 'a/b', 'Ünï/cödé', '100%', '?q#f', '..', 'a@b', '\u0000', '😀']
    for (const username of usernames) {
      const { body } = await client.ask('GET', 'http://example.com/a?b', basic(`${username}:pass:word`))
      const told = JSON.parse(body)
      t.equal(told.url, `/${encodeURIComponent(username)}/http://example.com/a?b`)
      t.equal(told.params['*'], `${username}/http://example.com/a`)
      t.equal(told.proxy.username, username)
      t.notOk('proxy-authorization' in told.headers)
    }
    const invalid = await client.ask('GET', 'http://example.com/', basic(Buffer.from([0x61, 0xff, 0x3a])))
    t.equal(JSON.parse(invalid.body).proxy.username, 'a\u00ff', 'what is no UTF-8 is Latin-1')
    t.equal((await client.ask('GET', 'http://example.com/', { 'proxy-authorization': 'bAsIc   dXNlcjo= ' })).status, 200)
  })

  t.test('asks before a tunnel opens, and never in it', async (t) => {
    const refused = await proxy.connect('example.com:443')
    t.match(refused.response, { status: 407, headers: { 'proxy-authenticate': 'Basic realm="Please enter prefix path", charset="UTF-8"' } })
    const client = await proxy.tls('example.com:443', {}, basic('user:'))
    for (const path of ['/a', '/b']) {
      t.match(JSON.parse((await client.ask('GET', path)).body), { url: `/user/https://example.com${path}`, proxy: { username: 'user' } })
    }
  })
})

t.test('the realm', async (t) => {
  const realms: Array<[realm: string, challenge: string]> = [
    ['', 'Basic realm="", charset="UTF-8"'],
    ['a "b" \\c', 'Basic realm="a \\"b\\" \\\\c", charset="UTF-8"']
  ]
  for (const [realm, challenge] of realms) {
    const proxy = await start(t, { prox: { resolver: proxyAuthResolver({ realm }) } })
    t.equal((await proxy.get('http://example.com/')).headers['proxy-authenticate'], challenge)
  }
  for (const realm of ['ü', 'a\r\nb', 5, null]) {
    t.throws(() => proxyAuthResolver({ realm: realm as string }), { code: 'FST_PROX_INVALID_OPTION', message: /^The option realm takes a string of printable ASCII, got / })
  }
  const resolver = Object.assign(() => '/', { requireAuth: () => 'Größe\r\nX: 1' })
  const proxy = await start(t, { prox: { resolver } })
  t.match(await proxy.get('http://example.com/'), { status: 407, headers: { 'proxy-authenticate': 'Basic realm="Gr??e??X: 1", charset="UTF-8"', x: undefined } })
})

t.test('validate', async (t) => {
  const seen: string[] = []
  const validates: Record<string, (username: string, password: string) => unknown> = {
    sync: (username, password) => password === 'right',
    async: async (username, password) => password === 'right',
    thenable: (username, password) => ({ then: (resolve: (valid: boolean) => void) => { resolve(password === 'right') } }),
    'neither true nor false': (username, password) => password === 'right' || 'truthy'
  }
  for (const [name, validate] of Object.entries(validates)) {
    t.test(name, async (t) => {
      const resolver = proxyAuthResolver({
        validate: (username, password) => {
          seen.push(`${username} ${password}`)
          return validate(username, password) as boolean
        }
      })
      const proxy = await start(t, { prox: { resolver } }, telling)
      t.equal(await statusOf(proxy, 'http://example.com/', basic('user:right')), 200)
      t.equal(await statusOf(proxy, 'http://example.com/', basic('user:wrong')), 407)
      t.equal(await statusOf(proxy, 'http://example.com/', basic(':right')), 407)
      t.equal((await proxy.connect('example.com:443', basic('user:wrong'))).response.status, 407)
      t.equal((await proxy.connect('example.com:443', basic('user:right'))).response.status, 200)
      t.strictSame(seen.splice(0), ['user right', 'user wrong', 'user wrong', 'user right'])
    })
  }

  t.test('that fails', async (t) => {
    for (const validate of [() => { throw new Error('the database is away') }, async () => { throw new Error('the database is away') }]) {
      const proxy = await start(t, { prox: { resolver: proxyAuthResolver({ validate }) } }, telling)
      t.match(await proxy.get('http://example.com/', basic('user:')), { status: 500, body: /the database is away/ })
      t.match((await proxy.connect('example.com:443', basic('user:'))).response, { status: 500, body: /the database is away/ })
    }
  })

  t.throws(() => proxyAuthResolver({ validate: 'yes' as never }), { code: 'FST_PROX_INVALID_OPTION', message: /^The option validate takes a function of user name and password, got a string$/ })
})

t.test('credentials that are not ASCII', async (t) => {
  const asked: string[] = []
  const resolver = proxyAuthResolver({
    validate: (username, password) => {
      asked.push(`${username} ${password}`)
      return username === 'jürgen' && password === 'größe'
    }
  })
  const decided: ConnectContext[] = []
  const proxy = await start(t, { prox: { resolver, onConnect: (context) => { decided.push(context) } } }, telling)
  const utf8 = basic('jürgen:größe')
  const latin1 = basic(Buffer.from('jürgen:größe', 'latin1'))
  // Valid as UTF-8, and meant so by nobody.
  const both = basic(Buffer.from('jÃ¼rgen:größe', 'latin1'))
  for (const [name, headers, readings] of [
    ['UTF-8', utf8, ['jürgen größe']],
    ['Latin-1', latin1, ['jürgen größe']],
    ['both', both, ['jÃ¼rgen größe']]
  ] as const) {
    t.test(name, async (t) => {
      const { status, body } = await proxy.get('http://example.com/', headers)
      t.equal(status, name === 'both' ? 407 : 200)
      if (status === 200) t.match(JSON.parse(body), { url: '/j%C3%BCrgen/http://example.com/', proxy: { username: 'jürgen' } })
      t.strictSame(asked.splice(0), readings)
    })
  }

  t.test('are asked for in the other reading when the first is refused', async (t) => {
    const accents = proxyAuthResolver({ validate: (username) => username === 'Ã¼' })
    const proxy = await start(t, { prox: { resolver: accents, onConnect: (context) => { decided.push(context) } } }, telling)
    const headers = basic(Buffer.from([0xc3, 0xbc, 0x3a]))
    t.match(JSON.parse((await proxy.get('http://example.com/', headers)).body), {
      url: '/%C3%83%C2%BC/http://example.com/', proxy: { username: 'Ã¼', url: 'http://example.com/' }
    })
    decided.splice(0)
    const client = await proxy.tls('example.com:443', {}, headers)
    t.match(decided, [{ credentials: { username: 'Ã¼' }, authority: 'example.com:443' }])
    t.match(JSON.parse((await client.ask('GET', '/')).body), { url: '/%C3%83%C2%BC/https://example.com/', proxy: { username: 'Ã¼' } })
    const injected = await proxy.app.injectProxy({ url: 'https://example.com/', headers })
    t.match(injected.json(), { url: '/%C3%83%C2%BC/https://example.com/', proxy: { username: 'Ã¼' } })
    t.equal(await statusOf(proxy, 'http://example.com/', basic('ö:')), 407)
  })
})

t.test('requireAuth that answers neither a realm nor nothing lets nobody in', async (t) => {
  let answer: unknown
  let ran = 0
  const resolver = Object.assign((url: string) => `/${url}`, { requireAuth: () => answer as string })
  const proxy = await start(t, { prox: { resolver } }, (app) => { app.get('/*', async () => { ran++ }) })
  const answers: Array<[answer: unknown, shown: string]> = [
    [true, 'true'], [false, 'false'], [0, 'a number'], [407, 'a number'], [{ realm: 's3cr3t' }, 'an object'], [['s3cr3t'], 'an array'],
    [new Error('s3cr3t'), 'an Error'], [() => 's3cr3t', 'a function'], [Symbol('s3cr3t'), 'a symbol'], [Promise.resolve(1), 'a number']
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

t.test('options of proxyAuthResolver that are not known are refused', async (t) => {
  t.throws(() => proxyAuthResolver({ valiadte: () => false } as never), {
    code: 'FST_PROX_UNKNOWN_OPTION', message: 'There is no option "valiadte". Did you mean "validate"?'
  })
  t.throws(() => proxyAuthResolver({ password: 's3cr3t' } as never), {
    message: 'There is no option "password". The options are realm, validate'
  })
})

t.test('a resolver of one\'s own', async (t) => {
  t.test('may answer now or later', async (t) => {
    const resolvers: ProxyResolver[] = [
      (url) => `/sync/${url}`,
      async (url) => `/async/${url}`,
      (url) => ({ then: (resolve: (url: string) => void) => { resolve(`/thenable/${url}`) } }) as Promise<string>
    ]
    for (const resolver of resolvers) {
      const proxy = await start(t, { prox: { resolver } }, telling)
      t.match(JSON.parse((await proxy.get('http://example.com/')).body).url, /^\/(sync|async|thenable)\/http:\/\/example\.com\/$/)
      t.match(JSON.parse((await proxy.get('https://example.com/')).body).url, /^\/(sync|async|thenable)\/https:\/\/example\.com\/$/)
    }
  })

  t.test('sees the URL and the request', async (t) => {
    const seen: object[] = []
    const resolver: ProxyResolver = (url, { raw, ...context }) => {
      seen.push({ url, ...context, target: raw.url, 'x-a': raw.headers['x-a'], secret: raw.headers['proxy-authorization'] })
      return '/'
    }
    const proxy = await start(t, { prox: { resolver } }, telling)
    await (await proxy.client()).ask('GET', 'http://Example.com:8080/a?b', { ...basic('user:secret'), 'x-a': '1' })
    const client = await proxy.tls('example.com:443', {}, basic('user:secret'))
    await client.ask('GET', '/c')
    const credentials = { username: 'user', password: 'secret' }
    t.match(seen[0], {
      url: 'http://example.com:8080/a?b', target: 'http://Example.com:8080/a?b', remoteAddress: '127.0.0.1', credentials, tunnel: null, 'x-a': '1', secret: undefined
    })
    t.match(seen[1], {
      url: 'https://example.com/c', target: '/c', remoteAddress: '127.0.0.1', credentials, tunnel: { authority: 'example.com:443', servername: 'example.com' }
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
        const { code, message, statusCode = 500 } = (typeof err === 'object' ? err : { message: String(err) }) as { code?: string, message: string, statusCode?: number }
        reply.code(statusCode)
        return { code, message, url: request.url, proxied: request.proxy?.url, secret: request.headers['proxy-authorization'] ?? null }
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
        t.match(JSON.parse(absolute.body), { ...answer, url: `http://${host}/${what}`, proxied: `http://${host}/${what}`, secret: null })
        const tunnelled = await tunnel.ask('PUT', `/${what}`, { 'content-type': 'x/odd' }, 'content')
        t.match(JSON.parse(tunnelled.body), { ...answer, url: `/${what}`, proxied: `https://${host}/${what}` })
        t.equal(tunnelled.status, what === 'error' || what === 'object' ? 403 : 500)
      }
    }
    t.equal(ran, 0)
  })

  t.test('that answers no URL', async (t) => {
    const rubbish: unknown[] = ['', 'a', 'http://example.com/', undefined, null, 5, {}, [], Symbol('a'), () => {}]
    let answer: unknown
    let later = false
    const resolver = (): string | Promise<string> => (later ? Promise.resolve(answer) : answer) as string
    let ran = 0
    const proxy = await start(t, { prox: { resolver } }, (app) => { app.get('/*', async () => { ran++ }) })
    for (answer of rubbish) {
      for (later of [false, true]) {
        t.match(await proxy.get('http://example.com/'), { status: 500, body: /FST_PROX_BAD_RESOLUTION.*begins with .*"\/.*, and answered / })
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
    const proxy = await start(t, { prox: { resolver } }, telling)
    t.match(await proxy.get('http://example.com/'), { status: 407, headers: { 'proxy-authenticate': 'Basic realm="cave", charset="UTF-8"' } })
    t.equal(await statusOf(proxy, 'http://example.com/', basic('ali:open')), 200)
    t.match(await proxy.get('http://example.com/', { 'x-fail': '1' }), { status: 500, body: /requireAuth failed/ })
    t.equal((await proxy.connect('example.com:443', basic('ali:baba'))).response.status, 407)
    t.equal((await proxy.tls('example.com:443', {}, basic('ali:open'))).socket.authorized, true)
  })
})

t.test('a client that leaves while a resolver thinks', async (t) => {
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
