import Fastify from 'fastify'
import type { LightMyRequestResponse } from 'fastify'
import { expect, test } from 'tstyche'
import type { Dispatcher } from 'undici'
import { fetch as undiciFetch, request, setGlobalDispatcher } from 'undici'
import type { WebSocket } from 'ws'
import fastifyProx from '../plugin/index'

const app = Fastify()
app.register(fastifyProx)

test('injectProxy is as inject', () => {
  expect(app.injectProxy('https://example.com/a')).type.toBe<Promise<LightMyRequestResponse>>()
  expect(app.injectProxy(new URL('https://example.com/a'))).type.toBe<Promise<LightMyRequestResponse>>()
  const request = { method: 'POST', url: 'https://example.com/a', headers: { a: 'b' }, payload: {} } as const
  expect(app.injectProxy(request)).type.toBe<Promise<LightMyRequestResponse>>()
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
  expect(app.proxyEnv).type.toBeCallableWith({ noProxy: ['localhost'], caBundle: 'only' })
  expect(app.proxyEnv).type.not.toBeCallableWith({ port: 8080 })
  expect(app.proxyEnv).type.not.toBeCallableWith({ caBundle: 'all' })
})

test('proxyDispatcher is for undici and for fetch', () => {
  const dispatcher = app.proxyDispatcher()
  expect(dispatcher).type.toBeAssignableTo<Dispatcher>()
  expect(fetch).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(undiciFetch).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(request).type.toBeCallableWith('https://example.com/', { dispatcher })
  expect(setGlobalDispatcher).type.toBeCallableWith(dispatcher)
})

test('proxyFetch is the fetch of undici', () => {
  expect(app.proxyFetch).type.toBe<typeof undiciFetch>()
})

test('injectProxyWS resolves with a WebSocket of ws', () => {
  expect(app.injectProxyWS('wss://example.com/')).type.toBe<Promise<WebSocket>>()
  expect(app.injectProxyWS).type.toBeCallableWith(new URL('https://example.com/'), { headers: { cookie: 'a=b' } })
  const onInit = (socket: WebSocket): void => { socket.close() }
  expect(app.injectProxyWS).type.toBeCallableWith('ws://example.com/', {}, { onInit })
  expect(app.injectProxyWS).type.not.toBeCallableWith('ws://example.com/', { method: 'POST' })
})
