/** The ways to have the plugin in an ES module. */
import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import byDefault, {
  CertificateAuthority, fastifyProx as byName, fixedResolver, proxyAuthResolver
} from '../plugin/index.js'
import type {
  CertificateAuthorityOptions, CertificateStore, ConnectContext, FastifyProxOptions, OnConnect, ProxyApp,
  ProxyAuthResolverOptions, ProxyCredentials, ProxyLimits, ProxyRequest, ProxyResolver, ProxyTimeouts, ProxyTunnel,
  RawRequest, ResolverContext
} from '../plugin/index.js'

test('is one plugin under both names', () => {
  const app = Fastify()
  for (const plugin of [byDefault, byName]) {
    expect(app.register).type.toBeCallableWith(plugin, { resolver: '/' })
    expect(app.register).type.not.toBeCallableWith(plugin, { resolver: 5 })
  }
  expect(byDefault.CertificateAuthority).type.toBe<typeof CertificateAuthority>()
  expect(CertificateAuthority.load).type.toBeCallableWith({ store: new Map() })
  expect(byDefault.fixedResolver).type.toBe<typeof fixedResolver>()
  expect(fixedResolver).type.toBeCallableWith('/')
  expect(proxyAuthResolver()).type.toBe<ProxyResolver>()
  expect(app.proxyCA).type.toBe<CertificateAuthority>()
  app.get('/', async ({ proxy }) => { expect(proxy).type.toBe<ProxyRequest | null>() })
})

test('every type has a name', () => {
  expect<FastifyProxOptions['resolver']>().type.toBe<string | ProxyResolver | undefined>()
  expect<FastifyProxOptions['proxyApps']>().type.toBe<Record<string, ProxyApp> | undefined>()
  expect<FastifyProxOptions['onConnect']>().type.toBe<OnConnect | undefined>()
  expect<FastifyProxOptions['timeouts']>().type.toBe<ProxyTimeouts | undefined>()
  expect<FastifyProxOptions['limits']>().type.toBe<ProxyLimits | undefined>()
  expect<FastifyProxOptions['ca']>().type.toBe<CertificateAuthorityOptions | CertificateAuthority | undefined>()
  expect<CertificateAuthorityOptions['store']>().type.toBe<CertificateStore | undefined>()
  expect<ConnectContext>().type.toBeAssignableTo<ResolverContext>()
  expect<ResolverContext['raw']>().type.toBe<RawRequest>()
  expect<ResolverContext['credentials']>().type.toBe<ProxyCredentials | null>()
  expect<ResolverContext['tunnel']>().type.toBe<ProxyTunnel | null>()
  expect<Parameters<typeof proxyAuthResolver>[0]>().type.toBe<ProxyAuthResolverOptions | undefined>()
})
