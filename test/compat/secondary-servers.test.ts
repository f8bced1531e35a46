/** Fastify's default host is every loopback address, with a server for each: all of them are the proxy. */
import dns from 'node:dns'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect as connectSocket } from 'node:net'
import { networkInterfaces } from 'node:os'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { secondaryServers } from '../../plugin/compat/secondary-servers'
import { start } from '../support/proxy'
import type { Proxy, Setup } from '../support/proxy'
import { HANDSHAKE } from '../support/websocket'

const ADDRESSES = ['127.0.0.1', '::1']
const hasIPv6 = Object.values(networkInterfaces()).flat().some((address) => address?.address === '::1')
const skip = hasIPv6 ? false : 'this machine has no IPv6 loopback'

/** Listens on 'localhost', and has it be both addresses, whatever this machine's file of hosts says. */
async function startOnLocalhost (t: Test, setup?: Setup, prox: object = {}): Promise<Proxy> {
  const { lookup } = dns
  const addresses = ADDRESSES.map((address, i) => ({ address, family: [4, 6][i] }))
  t.intercept(dns, 'lookup', {
    value: (...args: unknown[]) => {
      const [host, options, callback] = args as [string, dns.LookupOptions, (err: null, found: typeof addresses) => void]
      if (host === 'localhost' && options.all === true) callback(null, addresses)
      else Reflect.apply(lookup, dns, args)
    }
  })
  return await start(t, { prox: { resolver: '/', ...prox }, listen: { host: undefined } }, setup)
}

function addressesOf ({ app }: Proxy): AddressInfo[] {
  return app.addresses() as AddressInfo[]
}

function telling (app: FastifyInstance): void {
  app.all('/*', async ({ url, headers, proxy }) => ({ url, upgrade: headers.upgrade ?? null, proxied: proxy?.url ?? null }))
}

const UPGRADE = { connection: 'Upgrade', upgrade: 'h2c' }

t.test('listen without a host', { skip }, async (t) => {
  let context: FastifyInstance | undefined
  const proxy = await startOnLocalhost(t, (app) => {
    app.register(async (child) => { context = child })
    telling(app)
  })
  const addresses = addressesOf(proxy)
  t.strictSame(addresses.map(({ address }) => address).sort(), ADDRESSES)
  t.equal(secondaryServers(proxy.app).length, 1)
  t.strictSame(secondaryServers(context!), secondaryServers(proxy.app), 'from any context')

  for (const { address: host, port } of addresses) {
    t.test(host, async (t) => {
      const client = await proxy.client({ host, port })
      proxy.log.lines.length = 0
      t.match(JSON.parse((await client.ask('GET', 'http://example.com/a')).body), { url: '/http://example.com/a', proxied: 'http://example.com/a' })
      t.equal(proxy.log.count(/^incoming request$/), 1)
      t.match(JSON.parse((await client.ask('GET', '/a')).body), { url: '/a', proxied: null })
      t.match(JSON.parse((await client.ask('GET', 'http://example.com/', UPGRADE)).body), { upgrade: null, proxied: 'http://example.com/' }, 'an upgrade that nobody takes')
      t.match(JSON.parse((await client.ask('GET', '/', UPGRADE)).body), { proxied: null })
      const secure = await proxy.tls('example.com:443', {}, {}, { host, port })
      t.match(JSON.parse((await secure.ask('GET', '/b')).body), { proxied: 'https://example.com/b' })
      const plain = await proxy.tunnel('example.com:80', {}, { host, port })
      t.match(JSON.parse((await plain.ask('GET', '/c')).body), { proxied: 'http://example.com/c' })
    })
  }
})

t.test('with WebSockets', { skip }, async (t) => {
  const proxy = await startOnLocalhost(t, async (app) => {
    await app.register(websocket)
    app.get('/http:://example.com/socket', { websocket: true }, (socket) => { socket.send('hello') })
    telling(app)
  })
  for (const { address: host, port } of addressesOf(proxy)) {
    const client = await proxy.client({ host, port })
    t.match(JSON.parse((await client.ask('GET', 'http://example.com/', UPGRADE)).body), { upgrade: null, proxied: 'http://example.com/' })
    t.equal((await client.ask('GET', 'ws://example.com/socket', HANDSHAKE)).status, 101)
    t.equal((await client.read(7)).slice(2), 'hello')
  }
})

t.test('with the PROXY protocol', { skip }, async (t) => {
  const tellIp: Setup = (app) => { app.get('/*', async ({ ip }) => ip) }
  const proxy = await startOnLocalhost(t, tellIp, { proxyProtocol: { trusted: ADDRESSES } })
  for (const { address: host, port } of addressesOf(proxy)) {
    const client = await proxy.client({ host, port })
    client.write('PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n')
    t.match(await client.ask('GET', 'http://example.com/'), { body: '192.0.2.7' })
  }
})

t.test('close', { skip }, async (t) => {
  const proxy = await startOnLocalhost(t)
  const addresses = addressesOf(proxy)
  const clients = await Promise.all(addresses.map(async ({ address: host, port }) => await proxy.tls('example.com:443', {}, {}, { host, port })))
  await proxy.app.close()
  for (const client of clients) t.equal(await client.closed(), '')
  for (const { address: host, port } of addresses) {
    await t.rejects(once(connectSocket({ host, port }), 'connect'), { code: 'ECONNREFUSED' })
  }
})

t.test('without further servers', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  t.strictSame(secondaryServers(app), [])
  await app.register(async (child) => { t.strictSame(secondaryServers(child), []) })
  t.strictSame(secondaryServers({} as FastifyInstance), [], 'a Fastify that keeps none')
})
