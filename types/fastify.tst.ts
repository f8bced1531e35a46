/** What the plugin adds to Fastify. */
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { expect, test } from 'tstyche'
import fastifyProx from '../plugin/index'

const app = Fastify()
app.register(fastifyProx)

test('the instance has the resolver and the CA', () => {
  expect(app.proxyResolver).type.toBe<fastifyProx.ProxyResolver>()
  expect(app.proxyCA).type.toBe<fastifyProx.CertificateAuthority>()
  expect<FastifyInstance>().type.toBeAssignableTo<{ proxyCA: fastifyProx.CertificateAuthority }>()
})

test('a request has what is known of it, or null', () => {
  expect<FastifyRequest['proxy']>().type.toBe<fastifyProx.ProxyRequest | null>()
  app.get('/', (request) => {
    expect(request.proxy).type.toBe<fastifyProx.ProxyRequest | null>()
    expect(request.proxy?.url).type.toBe<string | undefined>()
    expect(request).type.not.toBeAssignableTo<{ proxy: object }>()
  })
})

test('a request has the credentials that it brought, or null', () => {
  expect<FastifyRequest['proxyCredentials']>().type.toBe<fastifyProx.ProxyCredentials | null>()
})

test('it cannot be written to', () => {
  expect<fastifyProx.ProxyRequest>().type.toBe<Readonly<{
    url: string
    proxyHost: string
    host: string
    scheme: 'http' | 'https'
    hostname: string
    port: number
    username: string | null
    tunnel: fastifyProx.ProxyTunnel | null
  }>>()
  expect<fastifyProx.ProxyTunnel>().type.toBe<Readonly<{
    id: string
    authority: string
    servername: string | null
    alpn: string | null
    tlsVersion: string | null
    remoteAddress: string | undefined
  }>>()
})
