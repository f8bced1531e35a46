/** The plugin: how it is registered, and on which servers it works. */
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx, { CertificateAuthority } from '../plugin/index'
import { echo } from './support/echo'
import { create, LOOPBACK, Proxy, start } from './support/proxy'
import { Log } from './support/log'
import { jsonOf } from './support/raw'

const PROX = { resolver: '/prefix/' }

/** A key and a certificate for localhost, and the CA that signed it. */
async function identity (): Promise<{ ca: CertificateAuthority, key: string, cert: string }> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  return { ca, key, cert }
}

async function serves (t: Test, proxy: Proxy): Promise<void> {
  const client = await proxy.client()
  t.match(await jsonOf(client.ask('GET', 'http://example.com/a')), {
    url: '/prefix/http://example.com/a',
    protocol: 'http',
    proxy: { url: 'http://example.com/a', tunnel: null }
  })
  t.match(await jsonOf(client.ask('GET', '/direct')), { url: '/direct', proxy: null })
  const secure = await proxy.tls('example.com:443')
  t.match(await jsonOf(secure.ask('GET', '/b')), {
    url: '/prefix/https://example.com/b',
    protocol: 'https',
    proxy: { url: 'https://example.com/b', tunnel: { authority: 'example.com:443' } }
  })
  const plain = await proxy.tunnel('example.com:80')
  t.match(await jsonOf(plain.ask('GET', '/c')), {
    url: '/prefix/http://example.com/c',
    protocol: 'http',
    proxy: { url: 'http://example.com/c' }
  })
}

t.test('decorates the application with its resolver and CA, and requests with proxy', async (t) => {
  const resolver = (url: string): string => `/${url}`
  const { app } = await create(t, { prox: { resolver } })
  t.equal(app.proxyResolver, resolver)
  t.ok(app.proxyCA instanceof CertificateAuthority)
  t.ok(app.hasRequestDecorator('proxy'))
  app.get('/', async (request) => String(request.proxy))
  t.equal((await app.inject('/')).body, 'null')
})

t.test('is registered once, at the root and without a prefix', async (t) => {
  const rejected = async (register: (app: FastifyInstance) => unknown): Promise<unknown> => {
    const app = Fastify()
    t.teardown(() => app.close())
    try {
      await register(app)
      await app.ready()
    } catch (err) {
      return err
    }
  }
  const ca = { store: new Map() }
  const inside: FastifyPluginAsync = async (child) => { await child.register(fastifyProx, { ca }) }
  const withPrefix = (prefix: string) => ({ ca, prefix }) as fastifyProx.FastifyProxOptions

  t.match(await rejected(async (app) => {
    await app.register(fastifyProx, { ca })
    await app.register(fastifyProx, { ca })
  }), { code: 'FST_PROX_ALREADY_REGISTERED' })
  t.match(await rejected((app) => app.register(fastifyProx, { ca }).register(inside)), {
    code: 'FST_PROX_ALREADY_REGISTERED'
  })
  t.match(await rejected((app) => app.register(inside, { prefix: '/a' })), {
    code: 'FST_PROX_NOT_AT_ROOT',
    message: /without the prefix \/a$/
  })
  t.match(await rejected((app) => app.register(fastifyProx, withPrefix('/b'))), {
    code: 'FST_PROX_NOT_AT_ROOT',
    message: /without the prefix \/b$/
  })
  t.match(await rejected((app) => app.register(inside)), {
    code: 'FST_PROX_NOT_AT_ROOT',
    message: /at the root of the application, or in a plugin that is wrapped in fastify-plugin$/
  }, 'as @fastify/autoload registers what is not wrapped')
  t.equal(await rejected((app) => app.register(fp(inside))), undefined)
  t.equal(await rejected((app) => app.register(fastifyProx, withPrefix(''))), undefined)

  const two = [await create(t), await create(t)]
  for (const { app } of two) await app.ready()
})

t.test('answers from routes that are registered before, after and beside it', async (t) => {
  const log = new Log()
  const app = Fastify({ loggerInstance: log.logger })
  t.teardown(() => app.close())
  const tell = async ({ url, proxy }: FastifyRequest): Promise<object> => ({ url, proxied: proxy !== null })
  const routes = (path: string): FastifyPluginAsync => async (child) => { child.get(`/http:://${path}`, tell) }
  app.get('/http:://before.test/', tell)
  app.register(routes('beside-before.test/'))
  app.register(fastifyProx, { ca: { store: new Map() } })
  app.register(routes('beside-after.test/'))
  app.register(async (child) => { child.register(fp(routes('deep.test/'))) })
  app.get('/http:://after.test/', tell)
  await app.listen({ port: 0, host: LOOPBACK })
  const proxy = new Proxy(t, app, log)
  for (const host of ['before', 'beside-before', 'beside-after', 'deep', 'after']) {
    t.strictSame(await jsonOf(proxy.get(`http://${host}.test/`)), { url: `/http://${host}.test/`, proxied: true }, host)
  }
})

t.test('works on a server that is reached by TLS', async (t) => {
  const { ca, key, cert } = await identity()
  const secure = { ca: ca.certificatePem, servername: 'localhost' }
  const proxy = await start(t, { fastify: { https: { key, cert } }, prox: { ...PROX, ca }, secure }, echo)
  await serves(t, proxy)
})

t.test('works on a server that speaks HTTP/2', async (t) => {
  const { ca, key, cert } = await identity()
  const fastify = { http2: true, https: { key, cert, allowHTTP1: true } }

  t.test('for clients that speak HTTP/1.1', async (t) => {
    const secure = { ca: ca.certificatePem, servername: 'localhost', ALPNProtocols: ['http/1.1'] }
    await serves(t, await start(t, { fastify, prox: { ...PROX, ca }, secure }, echo))
  })

  t.test('for clients that speak HTTP/2', async (t) => {
    const proxy = await start(t, { fastify, prox: { ...PROX, ca } }, echo)
    const session = http2.connect(`https://localhost:${proxy.port}`, { ca: ca.certificatePem, host: LOOPBACK })
    t.teardown(() => session.destroy())
    const ask = async (path: string): Promise<unknown> => {
      const stream = session.request({ ':path': path })
      await once(stream, 'response')
      return JSON.parse(Buffer.concat(await stream.toArray()).toString())
    }
    t.match(await ask('/direct'), { url: '/direct', proxy: null })
    t.match(await ask('/after'), { url: '/after' })
    session.close()
    await once(session, 'close')
  })

  t.test('without TLS', async (t) => {
    const proxy = await start(t, { fastify: { http2: true }, prox: { ...PROX, ca } }, echo)
    const session = http2.connect(`http://${LOOPBACK}:${proxy.port}`)
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/direct' })
    t.match(JSON.parse(Buffer.concat(await stream.toArray()).toString()), { url: '/direct', proxy: null })
    session.close()
    await once(session, 'close')
  })
})

t.test('works on a unix socket', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const proxy = await start(t, { prox: PROX, listen: { path: join(directory, 'socket') } }, echo)
  await serves(t, proxy)
  const told = await jsonOf(proxy.get('https://example.com/')) as { proxy: { tunnel: object } }
  t.notOk('ip' in told, 'there is no address to tell')
  t.notOk('remoteAddress' in told.proxy.tunnel)
})

t.test('writes a warning of the CA to the log', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'ca.pem')
  await CertificateAuthority.load({ file })
  await chmod(file, 0o644)
  const { log } = await create(t, { prox: { ca: { file } } })
  t.match(log.lines.find(({ level }) => level === 'warn'), { msg: /./, code: /^FST_PROX_|^FSTPROX/ })
})
