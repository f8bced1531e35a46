/** From the request line to the route: absolute-form and tunnels, what a route sees, and what runs once. */
import { EventEmitter, once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { ProxyRequest } from '../../types/request'
import { echo } from '../support/echo'
import { OLDEST } from '../support/oldest'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { jsonOf } from '../support/raw'

const PROX = { resolver: '/prefix/' }

/** What `echo` answers. */
interface Told {
  method: string
  url: string
  originalUrl: string
  host: string
  hostname: string
  port: number | null
  protocol: string
  ip: string
  headers: Record<string, string>
  proxy: ProxyRequest | null
}

async function tell (proxy: Proxy, method: string, target: string, headers?: Record<string, string>): Promise<Told> {
  const client = await proxy.client()
  const { status, body } = await client.ask(method, target, headers)
  if (status !== 200) throw new Error(body)
  return JSON.parse(body)
}

t.test('a request in absolute-form', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)

  t.test('is answered by the route of the full URL', async (t) => {
    const urls: Array<[target: string, url: string]> = [
      ['http://example.com/path/file.html?A=B', 'http://example.com/path/file.html?A=B'],
      ['HTTP://Example.COM/Path?Q', 'http://example.com/Path?Q'],
      ['http://example.com', 'http://example.com/'],
      ['http://example.com?q=/', 'http://example.com/?q=/'],
      ['http://example.com:80/', 'http://example.com/'],
      ['http://example.com:443/', 'http://example.com:443/'],
      ['https://example.com/a', 'https://example.com/a'],
      ['https://example.com:443/a', 'https://example.com/a'],
      ['wss://example.com:8443', 'https://example.com:8443/'],
      ['WS://example.com/a', 'http://example.com/a'],
      ['http://example.com/a?b#c', 'http://example.com/a?b'],
      ['http://[2001:DB8::1]:8080/a', 'http://[2001:db8::1]:8080/a'],
      ['http://192.0.2.1/a', 'http://192.0.2.1/a'],
      ['http://example.com./a', 'http://example.com/a'],
      ['http://example.com//a//b/../%41', 'http://example.com//a//b/../%41']
    ]
    for (const [target, url] of urls) {
      const told = await tell(proxy, 'GET', target)
      t.equal(told.proxy?.url, url)
      t.equal(told.url, `/prefix/${url}`)
      t.equal(told.originalUrl, target)
      t.equal(told.proxy?.tunnel, null)
    }
  })

  t.test('tells what Fastify users ask a request for', async (t) => {
    t.match(await tell(proxy, 'GET', 'http://Example.com:8080/a', { host: 'other.example:1' }), {
      host: 'example.com:8080',
      hostname: 'example.com',
      port: 8080,
      protocol: 'http',
      ip: '127.0.0.1',
      headers: { host: 'example.com:8080' }
    })
    // The oldest Fastify splits such a host at its first colon.
    const ipv6 = { host: '[::1]', hostname: '[::1]', port: null, protocol: 'https' }
    if (!OLDEST) t.match(await tell(proxy, 'GET', 'https://[::1]/a'), ipv6)
    t.match(await tell(proxy, 'GET', 'wss://example.com/'), { protocol: 'https' })
    t.match(await tell(proxy, 'GET', 'ws://example.com/'), { protocol: 'http' })
    t.match(await tell(proxy, 'GET', '/direct', { host: 'direct.example:99' }), {
      url: '/direct',
      originalUrl: '/direct',
      host: 'direct.example:99',
      protocol: 'http',
      proxy: null
    })
  })

  t.test('keeps the connection, and is answered in its order', async (t) => {
    const client = await proxy.client()
    for (const path of ['a', 'b', 'c']) {
      const url = `http://example.com/${path}`
      t.match(await jsonOf(client.ask('GET', url)), { proxy: { url } })
    }
    const targets = ['http://example.com/1', '/2', 'http://example.com/3', '/4']
    client.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    for (const target of targets) {
      const { url } = await jsonOf(client.response())
      t.equal(url, target[0] === '/' ? target : `/prefix/${target}`)
    }
  })

  t.test('is refused where it is no URL that can be answered', async (t) => {
    const targets = [
      'http://user@example.com/',
      'http://user:secret@example.com/',
      'http://example.com:0/',
      'http://example.com:70000/',
      'http://ex%41mple.com/',
      'http://1.2.3/',
      'ftp://example.com/',
      'http:///a'
    ]
    const client = await proxy.client()
    for (const target of targets) {
      const { status, body } = await client.ask('GET', target, { 'proxy-authorization': 'Basic YTpi' })
      t.equal(status, 400, target)
      t.match(JSON.parse(body), { code: 'FST_PROX_BAD_TARGET' })
    }
  })

  t.test('may have any method', async (t) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
      t.match(await tell(proxy, method, 'http://example.com/'), { method, url: '/prefix/http://example.com/' })
    }
    const client = await proxy.client()
    const { status, headers, body } = await client.ask('HEAD', 'http://example.com/')
    t.equal(status, 200)
    t.ok(Number(headers['content-length']) > 100)
    t.equal(body, '')
    t.match(await jsonOf(client.ask('GET', 'http://example.com/after')), { method: 'GET' }, 'nothing of it is left')
    const asterisk = await jsonOf(client.ask('OPTIONS', '*'))
    t.match(asterisk, { url: '*', proxy: null }, 'the server as a whole is not a URL')
    t.equal((await client.ask('PROPFIND', 'http://example.com/')).status, 404, 'as on a direct connection')
  })
})

t.test('a request in a tunnel', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)

  t.test('has the URL of its tunnel, by https with TLS', async (t) => {
    const client = await proxy.tls('Example.com:443')
    for (const path of ['/a?b', '/c']) {
      const told = await jsonOf(client.ask('GET', path, { host: 'other.example' })) as unknown as Told
      t.match(told, {
        url: `/prefix/https://example.com${path}`,
        originalUrl: path,
        host: 'example.com',
        hostname: 'example.com',
        port: null,
        protocol: 'https',
        ip: '127.0.0.1'
      })
      t.match(told.proxy, {
        url: `https://example.com${path}`,
        proxyHost: 'fastify-prox',
        host: 'example.com',
        scheme: 'https',
        hostname: 'example.com',
        port: 443,
        username: null,
        tunnel: {
          authority: 'example.com:443',
          servername: 'example.com',
          alpn: null,
          tlsVersion: 'TLSv1.3',
          remoteAddress: '127.0.0.1'
        }
      })
      t.match(told.proxy?.tunnel?.id, /^req-/)
    }
  })

  t.test('has the URL of its tunnel, by http without TLS', async (t) => {
    const client = await proxy.tunnel('example.com:8080')
    t.match(await jsonOf(client.ask('POST', '/a')), {
      method: 'POST',
      url: '/prefix/http://example.com:8080/a',
      host: 'example.com:8080',
      protocol: 'http',
      proxy: {
        scheme: 'http',
        port: 8080,
        tunnel: { authority: 'example.com:8080', servername: null, alpn: null, tlsVersion: null }
      }
    })
  })
})

t.test('request.proxy tells what a client asked for', async (t) => {
  const proxies: Array<ProxyRequest | null> = []
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/*', async (request) => {
      proxies.push(request.proxy)
      return request.proxy
    })
  })
  const direct = await proxy.client()
  t.equal((await direct.ask('GET', '/')).body, 'null')
  const absolute = await proxy.get('http://example.com/')
  const tunnelled = await proxy.get('https://example.com/')
  t.equal(proxies[0], null)
  t.strictSame(JSON.parse(absolute.body), proxies[1], 'JSON says it all')
  t.match(JSON.parse(tunnelled.body).tunnel, { ...proxies[2]!.tunnel })

  t.test('cannot be changed', async (t) => {
    for (const given of proxies.slice(1)) {
      t.ok(Object.isFrozen(given))
      t.throws(() => { Object.assign(given!, { url: '' }) }, TypeError)
    }
    t.ok(Object.isFrozen(proxies[2]!.tunnel))
  })

  t.test('is there for requests of any kind, hooks included', async (t) => {
    const seen: unknown[] = []
    const proxy = await start(t, { prox: PROX }, (app) => {
      app.addHook('onRequest', async (request) => { seen.push(request.proxy?.url ?? null) })
      app.addHook('onResponse', async (request) => { seen.push(request.proxy?.url ?? null) })
      app.setErrorHandler((_err, request, reply) => { reply.code(500).send(request.proxy?.url) })
      app.setNotFoundHandler((request, reply) => { reply.code(404).send(request.proxy?.url) })
      app.get('/prefix/http://example.com/throws', async () => { throw new Error('as expected') })
    })
    t.equal((await proxy.get('http://example.com/throws')).body, 'http://example.com/throws')
    t.equal((await proxy.get('http://example.com/nowhere')).body, 'http://example.com/nowhere')
    t.strictSame(seen, ['throws', 'throws', 'nowhere', 'nowhere'].map((path) => `http://example.com/${path}`))
  })
})

t.test('hooks, log lines and onResponse run once per request', async (t) => {
  const runs: Record<string, number> = {}
  const responded = new EventEmitter()
  const count = (name: string): void => { runs[name] = (runs[name] ?? 0) + 1 }
  const hooks = (app: FastifyInstance, at: string): void => {
    app.addHook('onRequest', async () => count(`onRequest ${at}`))
    app.addHook('preHandler', async () => count(`preHandler ${at}`))
    app.addHook('onSend', async () => count(`onSend ${at}`))
    app.addHook('onResponse', async () => {
      count(`onResponse ${at}`)
      if (at === 'after') responded.emit('response')
    })
  }
  const proxy = await start(t, { prox: PROX }, (app) => {
    hooks(app, 'after')
    app.get('/*', async () => 'ok')
  })
  const once1 = { 'onRequest after': 1, 'preHandler after': 1, 'onSend after': 1, 'onResponse after': 1 }

  t.test('in absolute-form', async (t) => {
    const response = once(responded, 'response')
    t.equal((await (await proxy.client()).ask('GET', 'http://example.com/absolute')).body, 'ok')
    await response
    t.strictSame(runs, once1)
    t.equal(proxy.log.count(/^incoming request$/), 1)
    await proxy.log.next(/^request completed$/)
    t.equal(proxy.log.count(/^request completed$/), 1)
    const { req } = await proxy.log.next(/^incoming request$/) as unknown as { req: { url: string, host: string } }
    t.equal(req.url, '/prefix/http://example.com/absolute')
    t.equal(req.host, 'example.com')
  })

  t.test('in a tunnel', async (t) => {
    const client = await proxy.tls('example.com:443')
    for (const key of Object.keys(runs)) delete runs[key]
    proxy.log.lines.length = 0
    const response = once(responded, 'response')
    t.equal((await client.ask('GET', '/tunnelled')).body, 'ok')
    await response
    t.strictSame(runs, once1)
    await proxy.log.next(/^request completed$/)
    t.equal(proxy.log.count(/^incoming request$/), 1)
    t.equal(proxy.log.count(/^request completed$/), 1)
  })
})

t.test('a method that Fastify does not route is resolved like any other', async (t) => {
  let ran = false
  const resolver = (): string => { throw Object.assign(new Error('no'), { statusCode: 403 }) }
  const proxy = await start(t, { prox: { resolver } }, (app) => {
    app.addHttpMethod('PROPFIND')
    app.route({ method: 'PROPFIND', url: '/*', handler: async () => { ran = true } })
  })
  const client = await proxy.client()
  t.equal((await client.ask('PROPFIND', 'http://example.com/')).status, 403, 'fails like any other')
  t.equal((await client.ask('MKCOL', 'http://example.com/')).status, 403)
  t.notOk(ran)
})
