/** The ways to have the plugin in CommonJS: each of them is the same. */
import Fastify from 'fastify'
import { expect, test } from 'tstyche'
import byDefault, { CertificateAuthority, fastifyProx as byName, fixedResolver } from '../plugin/index'
import type { FastifyProxOptions } from '../plugin/index'
import * as namespace from '../plugin/index'
import required = require('../plugin/index')

test('is one plugin under every name', () => {
  const app = Fastify()
  const ofModule = [required, required.default, required.fastifyProx, namespace.default, namespace.fastifyProx]
  for (const plugin of [byDefault, byName, ...ofModule]) {
    expect(app.register).type.toBeCallableWith(plugin, { resolver: '/' })
    expect(app.register).type.not.toBeCallableWith(plugin, { resolver: 5 })
  }
  expect(required.CertificateAuthority).type.toBe<typeof CertificateAuthority>()
  expect(CertificateAuthority.load).type.toBeCallableWith({ store: new Map() })
  expect(byDefault.fixedResolver).type.toBe<typeof fixedResolver>()
  expect(fixedResolver).type.toBeCallableWith('/')
  expect<required.FastifyProxOptions>().type.toBe<FastifyProxOptions>()
  expect<byDefault.FastifyProxOptions>().type.toBe<FastifyProxOptions>()
  expect(new Map<string, CertificateAuthority>()).type.toBe<Map<string, required.CertificateAuthority>>()
})
