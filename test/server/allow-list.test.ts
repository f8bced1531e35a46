/** The allow-list of the README ("Who may reach what") holds in every way in. */
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import type { FastifyProxOptions } from '../../plugin/index'
import type { ConnectContext, OnConnect } from '../../types/options'
import { Log } from '../support/log'
import { LOOPBACK, Proxy, start } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { HANDSHAKE } from '../support/websocket'
import { ask, h2, h2c, recorded } from '../tunnel/support'

const LIST = "['api.example.com:443', 'example.com:80']"

/** The program of the README, as a function. */
const README = readFileSync(join(__dirname, '../../README.md'), 'utf8')
const [, ALLOW_LIST] = /```js\n(const allowed = new Set[^]*?)```/.exec(README)!

type Program = (app: Pick<FastifyInstance, 'register' | 'addHook'>, plugin: typeof fastifyProx) => Promise<void>
const AsyncFunction = (async () => {}).constructor as new (...texts: string[]) => Program

interface Served {
  readonly proxy: Proxy
  /** The URLs of the requests that reached the route. */
  readonly reached: string[]
  /** What onConnect was asked for. */
  readonly asked: ConnectContext[]
}

async function serve (t: Test, list = LIST): Promise<Served> {
  const reached: string[] = []
  const asked: ConnectContext[] = []
  const log = new Log()
  const app: FastifyInstance = Fastify({ loggerInstance: log.logger }) as never
  t.teardown(() => app.close())
  await app.register(fastifyWebsocket)
  const program = new AsyncFunction('app', 'fastifyProx', ALLOW_LIST!.replace(LIST, list))
  const register = async (plugin: typeof fastifyProx, options: FastifyProxOptions): Promise<void> => {
    const onConnect: OnConnect = (context) => {
      asked.push(context)
      return options.onConnect!(context)
    }
    await app.register(plugin, { ...options, onConnect, ca: { store: new Map() } })
  }
  await program({ register: register as never, addHook: app.addHook.bind(app) }, fastifyProx)
  app.route({
    method: 'GET',
    url: '/prefix/*',
    handler: async ({ proxy }) => {
      reached.push(String(proxy?.url))
      return 'reached'
    },
    wsHandler: (socket, { proxy }) => {
      reached.push(`WebSocket ${proxy?.url}`)
      socket.close()
    }
  })
  await app.listen({ port: 0, host: LOOPBACK })
  return { proxy: new Proxy(t, app, log), reached, asked }
}

async function status (client: RawClient, target: string, headers: Record<string, string> = {}): Promise<number> {
  return (await client.ask('GET', target, headers)).status
}

t.test('CONNECT opens tunnels to its hosts at their ports alone', async (t) => {
  const { proxy } = await serve(t)
  for (const [authority, status] of [
    ['api.example.com:443', 200], ['API.example.com:443', 200], ['example.com:80', 200], ['evil.example:443', 403],
    ['api.example.com:22', 403], ['api.example.com:80', 403], ['example.com:443', 403], ['x.api.example.com:443', 403]
  ] as const) {
    t.equal((await proxy.connect(authority)).response.status, status, authority)
  }
})

t.test('a TLS server name of another host is refused by an alert, and no certificate is minted', async (t) => {
  const { proxy, asked, reached } = await serve(t)
  const minted = recorded(t, 'certificate:minted')
  for (const servername of ['evil.example', 'www.example.com']) {
    await t.rejects(proxy.tls('api.example.com:443', { servername }), { code: /_ALERT_ACCESS_DENIED$/ }, servername)
    t.match(asked.at(-1), { hostname: servername, port: 443, authority: `${servername}:443`, servername })
    t.equal(asked.at(-1)?.tunnel?.authority, 'api.example.com:443')
  }
  t.strictSame(minted.messages, [])
  t.strictSame(reached, [])

  const client = await proxy.tls('api.example.com:443')
  t.equal(await status(client, '/a'), 200)
  const again = asked.filter(({ servername }) => servername === 'api.example.com')
  t.strictSame(again, [], 'the host of the CONNECT is known')
})

t.test('a TLS server name that is allowed as well is whom the tunnel speaks for', async (t) => {
  const { proxy, reached } = await serve(t, "['a.example:443', 'b.example:443']")
  const client = await proxy.tls('a.example:443', { servername: 'b.example', host: 'b.example' })
  t.equal(await status(client, '/'), 200)
  t.strictSame(reached, ['https://b.example/'])
})

t.test('an absolute-form target in a tunnel names no other host and no other port', async (t) => {
  const { proxy, reached } = await serve(t)
  const secure = await proxy.tls('api.example.com:443')
  // Of the certificate `*.example.com`, another host, another port, another scheme.
  for (const [url, code] of [
    ['https://www.example.com/', 403], ['https://evil.example/', 421], ['https://api.example.com:22/', 421],
    ['http://api.example.com:443/', 421], ['https://api.example.com/a', 200]
  ] as const) {
    t.equal(await status(secure, url), code, url)
  }
  const plain = await proxy.tunnel('example.com:80')
  for (const [url, code] of [
    ['http://evil.example/', 421], ['http://example.com:81/', 421], ['https://example.com:80/', 421],
    ['http://example.com/b', 200]
  ] as const) {
    t.equal(await status(plain, url), code, url)
  }
  t.equal(await status(plain, '/c', { host: 'evil.example' }), 200, 'the Host field names nobody in a tunnel')
  t.strictSame(reached, ['https://api.example.com/a', 'http://example.com/b', 'http://example.com/c'])
})

t.test('an :authority in a tunnel names no other host and no other port', async (t) => {
  const { proxy, reached } = await serve(t)
  const code = async (session: ClientHttp2Session, fields: OutgoingHttpHeaders): Promise<number> => {
    return (await ask(session, { ':path': '/', ...fields })).status
  }
  const secure = await h2(t, proxy, 'api.example.com:443')
  for (const [authority, expected] of [
    ['www.example.com', 403], ['evil.example', 421], ['api.example.com:22', 421], ['api.example.com:80', 421],
    ['api.example.com', 200], ['api.example.com:443', 200]
  ] as const) {
    t.equal(await code(secure, { ':authority': authority }), expected, authority)
  }
  const plain = await h2c(t, proxy, 'example.com:80')
  for (const [authority, expected] of [
    ['evil.example', 421], ['example.com:81', 421], ['example.com', 200]
  ] as const) {
    t.equal(await code(plain, { ':authority': authority, ':scheme': 'http' }), expected, authority)
  }
  t.strictSame(reached, ['https://api.example.com/', 'https://api.example.com/', 'http://example.com/'])
})

t.test('absolute-form outside tunnels reaches its hosts at their ports alone', async (t) => {
  const { proxy, reached } = await serve(t)
  const client = await proxy.client()
  for (const [url, code] of [
    ['http://evil.example/', 403], ['http://example.com:81/', 403], ['https://evil.example/', 403],
    ['https://example.com/', 403], ['http://api.example.com/', 403], ['http://example.com/a', 200],
    ['https://api.example.com/b', 200], ['http://example.com:80/c', 200]
  ] as const) {
    t.equal(await status(client, url), code, url)
  }
  t.equal(await status(client, 'http://evil.example/', { host: 'example.com' }), 403, 'whatever the Host field says')
  t.strictSame(reached, ['http://example.com/a', 'https://api.example.com/b', 'http://example.com/c'])
})

t.test('a route is reached through proxyHost by nobody, unless the list has it', async (t) => {
  const { proxy, reached } = await serve(t)
  t.equal((await proxy.get('http://fastify-prox/prefix/https://evil.example/')).status, 403)
  t.equal((await proxy.connect('fastify-prox:80')).response.status, 403)
  t.strictSame(reached, [])
  const direct = await proxy.client()
  t.equal(await status(direct, '/prefix/https://evil.example/'), 200, 'a direct request is for the route to refuse')
  t.strictSame(reached, ['undefined'], 'which sees that it is none of a proxy')
})

t.test('WebSockets are opened to its hosts at their ports alone', async (t) => {
  const { proxy, reached } = await serve(t)
  for (const [url, code] of [
    ['ws://evil.example/', 403], ['http://evil.example/', 403], ['ws://example.com:81/', 403],
    ['wss://evil.example/', 403], ['ws://example.com/a', 101], ['http://example.com/b', 101]
  ] as const) {
    t.equal(await status(await proxy.client(), url, HANDSHAKE), code, url)
  }
  for (const [target, code] of [
    ['wss://www.example.com/', 403], ['https://evil.example/', 421], ['wss://api.example.com:22/', 421],
    ['ws://api.example.com:443/', 421], ['/c', 101], ['wss://api.example.com/d', 101]
  ] as const) {
    t.equal(await status(await proxy.tls('api.example.com:443'), target, HANDSHAKE), code, target)
  }
  t.equal(await status(await proxy.tunnel('example.com:80'), 'ws://evil.example/', HANDSHAKE), 421)
  t.equal(await status(await proxy.tunnel('example.com:80'), '/e', HANDSHAKE), 101)
  t.strictSame(reached, [
    'http://example.com/a', 'http://example.com/b', 'https://api.example.com/c', 'https://api.example.com/d',
    'http://example.com/e'
  ].map((url) => `WebSocket ${url}`))
})

t.test('onConnect is asked once for each host that it allows, and each time for one that it does not', async (t) => {
  const hosts = Array.from({ length: 102 }, (_, index) => `a${index}.example.com`)
  const { proxy, asked } = await serve(t, JSON.stringify(hosts.map((host) => `${host}:443`)))
  const session = await h2(t, proxy, `${hosts[0]}:443`)
  const visit = async (host: string): Promise<number> => (await ask(session, { ':authority': host })).status
  const count = (host: string): number => asked.filter(({ hostname }) => hostname === host).length
  for (const host of [...hosts, ...hosts]) t.equal(await visit(host), 200)
  t.strictSame(hosts.map(count), [...Array(101).fill(1), 2], 'a hundred further hosts are remembered')
  t.match(asked.at(-1), { servername: hosts[0], authority: `${hosts[101]}:443`, port: 443 })
  for (let time = 0; time < 2; time++) t.equal(await visit('b.example.com'), 403)
  t.equal(count('b.example.com'), 2)
})

t.test('a policy with a mistake in it allows no further host', async (t) => {
  const err = new Error('broken')
  for (const decide of [() => true, () => { throw err }, async () => await Promise.reject(err)]) {
    const onConnect = ({ tunnel }: ConnectContext) => tunnel === null ? undefined : decide() as never
    const proxy = await start(t, { prox: { resolver: '/prefix/', onConnect } })
    const session = await h2(t, proxy, 'a.example.com:443')
    t.equal((await ask(session, { ':authority': 'b.example.com' })).status, 500)
    await t.rejects(proxy.tls('a.example.com:443', { servername: 'b.example.com' }), { code: /ALERT/ })
  }
})
