import { once } from 'node:events'
import type net from 'node:net'
import type { AddressInfo } from 'node:net'
import { createServer as createSocksServer } from '@pondwader/socks5-server'
import type { PrepareRequestFunctionOpts } from 'proxy-chain' with { 'resolution-mode': 'import' }
import t from 'tap'
import type { Test } from 'tap'
import { fromEnvironment, proxyChooser } from '../../net/via'
import { privateRoot, startForward, startRaw, startSite } from './support'

/** An HTTP proxy that asks for `me:secret`, and the targets that it has been asked for. */
async function startHttpProxy (t: Test, secure = false): Promise<{ port: number, targets: string[] }> {
  const { Server: HttpProxyServer } = await import('proxy-chain')
  const targets: string[] = []
  const { key, cert } = await (await privateRoot()).issue('localhost')
  const options = {
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ hostname, port, username, password, isHttp }: PrepareRequestFunctionOpts) => {
      targets.push(`${isHttp ? 'absolute-form' : 'tunnel'} ${hostname}:${port}`)
      return { requestAuthentication: username !== 'me' || password !== 'secret' }
    }
  }
  const tls = { serverType: 'https', httpsOptions: { key, cert } } as const
  const server = new HttpProxyServer(secure ? { ...options, ...tls } : options)
  await server.listen()
  t.teardown(() => server.close(true))
  return { port: server.port, targets }
}

async function startSocks (t: Test): Promise<{ port: number, targets: string[] }> {
  const targets: string[] = []
  const server = createSocksServer({ auth: { username: 'me', password: 'secret' } })
  server.setRulesetValidator((connection) => {
    targets.push(`${connection.destAddress}:${connection.destPort}`)
    return true
  })
  server.listen(0, '127.0.0.1')
  const inner = (server as unknown as { server: net.Server }).server
  if (inner.address() === null) await once(inner, 'listening')
  t.teardown(() => inner.close())
  return { port: (inner.address() as AddressInfo).port, targets }
}

t.test('goes by an HTTP proxy: absolute-form for http, a tunnel for https', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('plain'))
  const secure = await startSite(t, (request, response) => response.end(request.httpVersion), { http2: true })
  for (const byTls of [false, true]) {
    const upstream = await startHttpProxy(t, byTls)
    const proxy = await startForward(t, { via: `${byTls ? 'https' : 'http'}://me:secret@localhost:${upstream.port}` })
    t.equal((await (await proxy.client()).ask('GET', `http://127.0.0.1:${site.port}/a/../b`)).body, 'plain')
    t.equal((await proxy.get(`https://localhost:${secure.port}/`)).body, '2.0')
    t.strictSame(upstream.targets, [`absolute-form 127.0.0.1:${site.port}`, `tunnel localhost:${secure.port}`])
    t.equal(site.seen.at(-1)!.headers['proxy-authorization'], undefined)
  }
})

t.test('goes by a SOCKS5 proxy, which gets the address or the name', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('plain'))
  const secure = await startSite(t, (_request, response) => response.end('secure'), { tls: {} })
  const upstream = await startSocks(t)
  for (const scheme of ['socks5', 'socks5h']) {
    const proxy = await startForward(t, {
      via: `${scheme}://me:secret@127.0.0.1:${upstream.port}`,
      lookup: (_hostname, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])
    })
    t.equal((await (await proxy.client()).ask('GET', `http://localhost:${site.port}/`)).body, 'plain')
    t.equal((await proxy.get(`https://localhost:${secure.port}/`)).body, 'secure')
  }
  t.strictSame(upstream.targets, [
    `127.0.0.1:${site.port}`, `127.0.0.1:${secure.port}`, `localhost:${site.port}`, `localhost:${secure.port}`
  ])
  const refused = await startForward(t, { via: `socks5://me:wrong@127.0.0.1:${upstream.port}` })
  const { status, body } = await (await refused.client()).ask('GET', `http://127.0.0.1:${site.port}/`)
  t.strictSame([status, JSON.parse(body).code], [502, 'FST_PROX_UPSTREAM_PROXY'])
})

t.test('answers 502 when the upstream proxy refuses, and shows no password', async (t) => {
  const upstream = await startHttpProxy(t)
  const proxy = await startForward(t, { via: `http://me:hidden@127.0.0.1:${upstream.port}` })
  const { status, body } = await proxy.get('https://localhost:1/')
  t.strictSame([status, JSON.parse(body).code], [502, 'FST_PROX_UPSTREAM_PROXY'])
  t.match(body, /407/)
  t.notMatch(body, /hidden/)
  const raw = await startRaw(t, (socket) => socket.destroy())
  const broken = await startForward(t, { via: `http://127.0.0.1:${raw.port}` })
  t.match((await broken.get('https://localhost:1/')).body, /FST_PROX_UPSTREAM_PROXY/)
})

t.test('refuses private addresses behind a proxy too, and itself as a proxy', async (t) => {
  const upstream = await startHttpProxy(t)
  const proxy = await startForward(t, { allow: 'public', via: `http://me:secret@127.0.0.1:${upstream.port}` })
  for (const host of ['127.0.0.1', 'localhost', 'a.localhost', '[::1]', '10.0.0.1']) {
    t.equal((await (await proxy.client()).ask('GET', `http://${host}/`)).status, 403, host)
  }
  t.strictSame(upstream.targets, [])
  let own = 0
  const looped = await startForward(t, { via: () => `http://127.0.0.1:${own}` })
  own = looped.port
  const { status, body } = await (await looped.client()).ask('GET', 'http://example.test/')
  t.strictSame([status, /this proxy itself/.test(body)], [403, true])
})

t.test('a function chooses by target', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const upstream = await startHttpProxy(t)
  const url = new URL(`http://me:secret@127.0.0.1:${upstream.port}`)
  const proxy = await startForward(t, { via: async ({ hostname }) => hostname === 'localhost' ? url : null })
  for (const host of ['localhost', '127.0.0.1']) {
    t.equal((await (await proxy.client()).ask('GET', `http://${host}:${site.port}/`)).body, 'ok')
  }
  t.equal(upstream.targets.length, 1)
})

t.test('reads the environment as undici does', async (t) => {
  const env = {
    http_proxy: 'http://p:1',
    HTTPS_PROXY: 'http://s:2',
    NO_PROXY: 'a.test, .b.test,*.c.test d.test:8080 [::1]'
  }
  const choose = (
    scheme: 'http' | 'https', hostname: string, port = 80, variables: NodeJS.ProcessEnv = env
  ): string | null => fromEnvironment({ scheme, hostname, port }, variables)?.host ?? null
  t.equal(choose('http', 'x.test'), 'p:1')
  t.equal(choose('https', 'x.test'), 's:2')
  for (const host of ['a.test', 'A.TEST', 'x.a.test', 'b.test', 'x.b.test', 'c.test', 'x.c.test', '::1']) {
    t.equal(choose('http', host), null, host)
  }
  t.equal(choose('http', 'xa.test'), 'p:1')
  t.equal(choose('http', 'd.test', 8080), null)
  t.equal(choose('http', 'd.test', 80), 'p:1')
  t.equal(choose('https', 'x', 1, { HTTP_PROXY: 'http://p:1' }), 'p:1')
  t.equal(choose('http', 'x', 1, { HTTPS_PROXY: 'http://p:1' }), null)
  t.equal(choose('http', 'x', 1, { http_proxy: '', no_proxy: '' }), null)
  t.equal(choose('http', 'x', 1, { http_proxy: 'http://p:1', no_proxy: '*' }), null)
  const own = await proxyChooser('env')!({ scheme: 'http', hostname: 'x.test', port: 80 })
  t.equal(own?.host, fromEnvironment({ scheme: 'http', hostname: 'x.test', port: 80 }, process.env)?.host)
})

t.test('via takes no other value', async (t) => {
  for (const via of ['p:1', 'ftp://p', 'nonsense', 5, {}, 'http://']) {
    t.throws(() => proxyChooser(via as never), { code: 'FST_PROX_INVALID_OPTION' }, String(via))
  }
  await t.rejects(proxyChooser(() => 'nonsense')!({} as never), { code: 'FST_PROX_INVALID_OPTION' })
  t.equal(proxyChooser(undefined), null)
  t.equal(proxyChooser(false), null)
})
