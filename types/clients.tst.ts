import Fastify from 'fastify'
import type { LightMyRequestResponse } from 'fastify'
import { expect, test } from 'tstyche'
import type { Dispatcher } from 'undici'
import { fetch as undiciFetch, request, setGlobalDispatcher } from 'undici'
import fastifyProx from '../plugin/index'

const app = Fastify()
app.register(fastifyProx)

test('injectProxy is as inject', () => {
  expect(app.injectProxy('https://example.com/a')).type.toBe<Promise<LightMyRequestResponse>>()
  expect(app.injectProxy(new URL('https://example.com/a'))).type.toBe<Promise<LightMyRequestResponse>>()
  expect(app.injectProxy({ method: 'POST', url: 'https://example.com/a', headers: { a: 'b' }, payload: {} })).type.toBe<Promise<LightMyRequestResponse>>()
  expect(app.injectProxy('https://example.com/a', (err, response) => {
    expect(err).type.toBe<Error | undefined>()
    expect(response).type.toBe<LightMyRequestResponse | undefined>()
  })).type.toBe<void>()
  expect(app.injectProxy).type.not.toBeCallableWith({ method: 'GET' })
  expect(app.injectProxy).type.not.toBeCallableWith({ url: 'https://example.com/', path: '/a' })
})

test('proxyEnv is an environment', () => {
  expect(app.proxyEnv().HTTPS_PROXY).type.toBe<string>()
  expect({ ...process.env, ...app.proxyEnv() }).type.toBeAssignableTo<NodeJS.ProcessEnv>()
  expect(app.proxyEnv).type.toBeCallableWith({ hostname: 'proxy.test', username: 'jane', password: 'secret' })
  expect(app.proxyEnv).type.not.toBeCallableWith({ port: 8080 })
})

test('proxyDispatcher is for undici and for fetch', () => {
  const dispatcher = app.proxyDispatcher()
  expect(dispatcher).type.toBeAssignableTo<Dispatcher>()
  expect(fetch).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(undiciFetch).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(request).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(setGlobalDispatcher).type.toBeCallableWith(dispatcher)
})
