/** The options of the plugin, as its users write them. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyPluginCallback } from 'fastify'
import { expect, test } from 'tstyche'
import fastifyProx, { CertificateAuthority, fixedResolver, pass, proxyAuthResolver } from '../plugin/index'

const app = Fastify()
type Options = fastifyProx.FastifyProxOptions

test('every option may be left out, and no other given', () => {
  expect(app.register).type.toBeCallableWith(fastifyProx)
  expect(app.register).type.toBeCallableWith(fastifyProx, {})
  expect(app.register).type.toBeCallableWith(fastifyProx, {
    resolver: '/prefix/',
    proxyHost: 'fastify-prox',
    downloadHost: 'fastify-prox',
    proxyApps: {},
    ca: {},
    websockets: true,
    http2: true,
    tls: { minVersion: 'TLSv1.3' },
    keyLogFile: 'keys.log',
    onConnect: () => {},
    proxyProtocol: { trusted: ['10.0.0.0/8', 'unix'], timeout: 1 },
    timeouts: { firstByte: 1, handshake: 2, idle: 3, passIdle: 4, close: 5 },
    limits: { tunnels: 1, tunnelsPerClient: Infinity },
    keepAliveMax: 5
  })
  expect(app.register).type.toBeCallableWith(fastifyProx, { logLevel: 'warn' })
  expect(app.register).type.toBeCallableWith(fastifyProx, (parent: FastifyInstance) => {
    return { proxyHost: String(parent.prefix) }
  })
  expect<Options>().type.not.toBeAssignableFrom({ resolvers: '/' })
  expect<Options>().type.not.toBeAssignableFrom({ timeouts: { handshakes: 1 } })
  expect<Options>().type.not.toBeAssignableFrom({ limits: { tunnel: 1 } })
  expect<Options>().type.not.toBeAssignableFrom({ downloadHost: true })
  expect<Options>().type.toBeAssignableFrom({ downloadHost: false as const })
})

test('a resolver maps a URL to that of a route, and may ask for credentials', () => {
  const resolver: Options['resolver'] = (url, context) => {
    expect(url).type.toBe<string>()
    expect(context).type.toBe<fastifyProx.ResolverContext>()
    expect(context.raw).type.toBe<IncomingMessage | Http2ServerRequest>()
    expect(context.remoteAddress).type.toBe<string | undefined>()
    expect(context.credentials).type.toBe<fastifyProx.ProxyCredentials | null>()
    expect(context.tunnel).type.toBe<fastifyProx.ProxyTunnel | null>()
    return `/${url}`
  }
  expect(resolver).type.toBeAssignableTo<fastifyProx.ProxyResolver>()
  expect<fastifyProx.ProxyResolver>().type.toBeAssignableFrom(async (url: string) => url)
  expect<fastifyProx.ProxyResolver>().type.not.toBeAssignableFrom((url: URL) => url.href)
  expect<fastifyProx.ProxyResolver>().type.not.toBeAssignableFrom(() => 5)

  expect(fixedResolver('/a')).type.toBe<fastifyProx.ProxyResolver>()
  expect(fixedResolver()).type.toBe<fastifyProx.ProxyResolver>()
  expect(fixedResolver).type.not.toBeCallableWith(5)
  expect(proxyAuthResolver()).type.toBe<fastifyProx.ProxyResolver>()
  expect(proxyAuthResolver).type.toBeCallableWith({
    realm: 'a',
    validate: (username: string, password: string) => username === password
  })
  expect(proxyAuthResolver).type.toBeCallableWith({ validate: async () => true })
  expect(proxyAuthResolver).type.not.toBeCallableWith({ validate: () => 'yes' })

  const asking: fastifyProx.ProxyResolver = Object.assign((url: string) => url, {
    requireAuth: async ({ credentials }: fastifyProx.ResolverContext) => credentials?.username
  })
  expect(asking.requireAuth).type.toBeAssignableTo<Function | undefined>()
})

test('a proxy app is a plugin of any kind, inline too', () => {
  const callback: FastifyPluginCallback = (instance, _options, done) => { done() }
  const promise: FastifyPluginAsync = async () => {}
  const proxyApps: Options['proxyApps'] = {
    alias: null,
    callback,
    promise,
    'inline.test': async (app) => {
      expect(app).type.toBe<FastifyInstance>()
      app.get('/', async (request) => request.proxy?.host)
    },
    'inline-callback.test': (app, _options, done) => {
      expect(app).type.toBe<FastifyInstance>()
      expect(done).type.toBeCallableWith(new Error('a'))
      done()
    }
  }
  expect(proxyApps).type.toBeAssignableTo<Options['proxyApps']>()
  expect<fastifyProx.ProxyApp>().type.not.toBeAssignableFrom('app')
  expect<fastifyProx.ProxyApp>().type.not.toBeAssignableFrom(undefined)
})

test('ca is options, or a CertificateAuthority', async () => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  expect(ca).type.toBeAssignableTo<CertificateAuthority>()
  expect<Options>().type.toBeAssignableFrom({ ca })
  expect<Options>().type.toBeAssignableFrom({ ca: { store: new Map<string, string>() } })
  expect<Options>().type.toBeAssignableFrom({ ca: { store: { get: async () => null, set: async () => {} } } })
  expect<Options>().type.toBeAssignableFrom({
    ca: { file: 'ca.pem', name: 'My CA', keyType: 'rsa' as const, wildcards: false, permit: ['.test'] }
  })
  expect<Options>().type.toBeAssignableFrom({ ca: { key: readFileSync('key.pem'), cert: 'PEM' } })
  expect<Options>().type.not.toBeAssignableFrom({ ca: { keyType: 'dsa' } })
})

test('onConnect answers nothing, a status or pass()', () => {
  const policies: Array<NonNullable<Options['onConnect']>> = [
    ({ hostname, port, authority, tunnel }) => {
      expect(hostname).type.toBe<string>()
      expect(port).type.toBe<number>()
      expect(authority).type.toBe<string>()
      expect(tunnel).type.toBe<fastifyProx.ProxyTunnel | null>()
      return port === 443 ? undefined : 403
    },
    async () => {},
    async () => null,
    () => pass(),
    async () => pass({ allow: ['10.0.0.0/8'], via: 'env', timeout: 5_000 })
  ]
  expect(policies[0]!).type.toBe<fastifyProx.OnConnect>()
  expect<fastifyProx.OnConnect>().type.not.toBeAssignableFrom(() => 'no')
})

test('proxyProtocol takes a list of addresses', () => {
  expect<Options['proxyProtocol']>().type.toBeAssignableFrom({ trusted: ['10.0.0.1'] as const })
  expect<Options['proxyProtocol']>().type.not.toBeAssignableFrom({})
  expect<Options['proxyProtocol']>().type.not.toBeAssignableFrom({ trusted: '10.0.0.1' })
  expect<Options['proxyProtocol']>().type.not.toBeAssignableFrom(true)
})

test('a CA is rotated in steps, by a store that can replace', () => {
  const store = { get: () => '', add: () => {}, set: () => {} }
  expect(CertificateAuthority.rotate({ store }, 'announce')).type
    .toBe<Promise<readonly fastifyProx.AuthorityCertificate[]>>()
  expect(CertificateAuthority.rotate).type.not.toBeCallableWith({ store }, 'back')
  expect(app.proxyCA.trustedPem).type.toBe<string>()
  expect(app.proxyCA.refresh()).type.toBe<Promise<void>>()
})

test('pass takes the options of a connection, and nothing else', () => {
  expect(pass()).type.toBe<fastifyProx.Pass>()
  expect(pass).type.toBeCallableWith({
    allow: async (addresses: readonly string[], target: fastifyProx.DialTarget) => addresses.length > target.port
  })
  expect(pass).type.toBeCallableWith({
    via: ({ hostname }: fastifyProx.DialTarget) => hostname === 'a' ? null : new URL('http://proxy.test')
  })
  expect(pass).type.not.toBeCallableWith({ allow: 5 })
  expect(pass).type.not.toBeCallableWith({ ca: [] })
  expect<fastifyProx.OnConnect>().type.not.toBeAssignableFrom(() => ({}))
})
