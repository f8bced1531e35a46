/** The plugin: how it is registered, and on which servers it works. */
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import http2 from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx, { CertificateAuthority } from '../plugin/index'
import { create, LOOPBACK, Proxy, start } from './support/proxy'
import { Log } from './support/log'

const PROX = { resolver: '/prefix/' }

function telling (app: FastifyInstance): void {
  app.all('/*', async ({ method, url, ip, protocol, proxy }) => ({ method, url, ip, protocol, proxy }))
}

/** A key and a certificate for localhost, and the CA that signed it. */
async function identity (): Promise<{ ca: CertificateAuthority, key: string, cert: string }> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  return { ca, key, cert }
}

async function serves (t: Test, proxy: Proxy): Promise<void> {
  const client = await proxy.client()
  t.match(JSON.parse((await client.ask('GET', 'http://example.com/a')).body), { url: '/prefix/http://example.com/a', protocol: 'http', proxy: { url: 'http://example.com/a', tunnel: null } })
  t.match(JSON.parse((await client.ask('GET', '/direct')).body), { url: '/direct', proxy: null })
  const secure = await proxy.tls('example.com:443')
  t.match(JSON.parse((await secure.ask('GET', '/b')).body), { url: '/prefix/https://example.com/b', protocol: 'https', proxy: { url: 'https://example.com/b', tunnel: { authority: 'example.com:443' } } })
  const plain = await proxy.tunnel('example.com:80')
  t.match(JSON.parse((await plain.ask('GET', '/c')).body), { url: '/prefix/http://example.com/c', protocol: 'http', proxy: { url: 'http://example.com/c' } })
}

t.test('decorates', async (t) => {
  const resolver = (url: string): string => `/${url}`
  const { app } = await create(t, { prox: { resolver } })
  t.equal(app.proxyResolver, resolver)
  t.ok(app.proxyCA instanceof CertificateAuthority)
  t.ok(app.hasRequestDecorator('proxy'))
  app.get('/', async (request) => String(request.proxy))
  t.equal((await app.inject('/')).body, 'null')
})

t.test('registered wrongly', async (t) => {
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
  t.match(await rejected(async (app) => {
    await app.register(fastifyProx, { ca })
    await app.register(fastifyProx, { ca })
  }), { code: 'FST_PROX_ALREADY_REGISTERED' })
  t.match(await rejected((app) => app.register(fastifyProx, { ca }).register(async (child) => { await child.register(fastifyProx, { ca }) })), { code: 'FST_PROX_ALREADY_REGISTERED' })
  t.match(await rejected((app) => app.register(async (child) => { await child.register(fastifyProx, { ca }) }, { prefix: '/a' })), { code: 'FST_PROX_NOT_AT_ROOT', message: /without the prefix \/a$/ })
  t.match(await rejected((app) => app.register(fastifyProx, { ca, prefix: '/b' } as fastifyProx.FastifyProxOptions)), { code: 'FST_PROX_NOT_AT_ROOT', message: /without the prefix \/b$/ })
  t.match(await rejected((app) => app.register(async (child) => { await child.register(fastifyProx, { ca }) })), {
    code: 'FST_PROX_NOT_AT_ROOT', message: /at the root of the application, or in a plugin that is wrapped in fastify-plugin$/
  }, 'as @fastify/autoload registers what is not wrapped')
  t.equal(await rejected((app) => app.register(fp(async (child) => { await child.register(fastifyProx, { ca }) }))), undefined)
  t.equal(await rejected((app) => app.register(fastifyProx, { ca, prefix: '' } as fastifyProx.FastifyProxOptions)), undefined)

  const two = [await create(t), await create(t)]
  for (const { app } of two) await app.ready()
})

t.test('routes registered before, after and beside it', async (t) => {
  const log = new Log()
  const app = Fastify({ loggerInstance: log.logger })
  t.teardown(() => app.close())
  const tell = async (request: { url: string, proxy: unknown }): Promise<object> => ({ url: request.url, proxied: request.proxy !== null })
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
    t.strictSame(JSON.parse((await proxy.get(`http://${host}.test/`)).body), { url: `/http://${host}.test/`, proxied: true }, host)
  }
})

t.test('a proxy that is reached by TLS', async (t) => {
  const { ca, key, cert } = await identity()
  const secure = { ca: ca.certificatePem, servername: 'localhost' }
  const proxy = await start(t, { fastify: { https: { key, cert } }, prox: { ...PROX, ca }, secure }, telling)
  await serves(t, proxy)
})

t.test('a proxy that speaks HTTP/2 itself', async (t) => {
  const { ca, key, cert } = await identity()
  const fastify = { http2: true, https: { key, cert, allowHTTP1: true } }

  t.test('to clients that speak HTTP/1.1', async (t) => {
    const secure = { ca: ca.certificatePem, servername: 'localhost', ALPNProtocols: ['http/1.1'] }
    await serves(t, await start(t, { fastify, prox: { ...PROX, ca }, secure }, telling))
  })

  t.test('to clients that speak HTTP/2', async (t) => {
    const proxy = await start(t, { fastify, prox: { ...PROX, ca } }, telling)
    const session = http2.connect(`https://localhost:${proxy.port}`, { ca: ca.certificatePem, host: LOOPBACK })
    t.teardown(() => session.destroy())
    const ask = async (headers: http2.OutgoingHttpHeaders): Promise<{ status: number, body: string }> => {
      const stream = session.request(headers)
      const [{ ':status': status }] = await once(stream, 'response') as [http2.IncomingHttpHeaders & { ':status': number }]
      return { status, body: Buffer.concat(await stream.toArray()).toString() }
    }
    t.match(JSON.parse((await ask({ ':path': '/direct' })).body), { url: '/direct', proxy: null })
    t.match(JSON.parse((await ask({ ':path': '/after' })).body), { url: '/after' })
    session.close()
    await once(session, 'close')
  })

  t.test('without TLS', async (t) => {
    const proxy = await start(t, { fastify: { http2: true }, prox: { ...PROX, ca } }, telling)
    const session = http2.connect(`http://${LOOPBACK}:${proxy.port}`)
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/direct' })
    t.match(JSON.parse(Buffer.concat(await stream.toArray()).toString()), { url: '/direct', proxy: null })
    session.close()
    await once(session, 'close')
  })
})

t.test('a unix socket', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const proxy = await start(t, { prox: PROX, listen: { path: join(directory, 'socket') } }, telling)
  await serves(t, proxy)
  const told = JSON.parse((await proxy.get('https://example.com/')).body)
  t.notOk('ip' in told, 'there is no address to tell')
  t.notOk('remoteAddress' in told.proxy.tunnel)
})

t.test('a warning of the CA goes to the log', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const file = join(directory, 'ca.pem')
  await CertificateAuthority.load({ file })
  await chmod(file, 0o644)
  const { log } = await create(t, { prox: { ca: { file } } })
  t.match(log.lines.find(({ level }) => level === 'warn'), { msg: /./, code: /^FST_PROX_|^FSTPROX/ })
})
