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
import { echo } from '../support/echo'
import { start } from '../support/proxy'
import type { Proxy, Setup } from '../support/proxy'
import { jsonOf } from '../support/raw'
import { HANDSHAKE } from '../support/websocket'

const ADDRESSES = ['127.0.0.1', '::1']
const hasIPv6 = Object.values(networkInterfaces()).flat().some((address) => address?.address === '::1')
const skip = hasIPv6 ? false : 'this machine has no IPv6 loopback'

/** Listens on 'localhost', and has it be both addresses, whatever this machine's file of hosts says. */
async function startOnLocalhost (t: Test, setup?: Setup, prox: object = {}): Promise<Proxy> {
  const { lookup } = dns
  const addresses = ADDRESSES.map((address, i) => ({ address, family: [4, 6][i] }))
  type Callback = (err: null, found: typeof addresses) => void
  t.intercept(dns, 'lookup', {
    value: (...args: unknown[]) => {
      const [host, options, callback] = args as [string, dns.LookupOptions, Callback]
      if (host === 'localhost' && options.all === true) callback(null, addresses)
      else Reflect.apply(lookup, dns, args)
    }
  })
  return await start(t, { prox: { resolver: '/', ...prox }, listen: { host: undefined } }, setup)
}

function addressesOf ({ app }: Proxy): AddressInfo[] {
  return app.addresses() as AddressInfo[]
}

const UPGRADE = { connection: 'Upgrade', upgrade: 'h2c' }

t.test('listen without a host makes every server of a loopback address the proxy', { skip }, async (t) => {
  let context: FastifyInstance | undefined
  const proxy = await startOnLocalhost(t, (app) => {
    app.register(async (child) => { context = child })
    echo(app)
  })
  const addresses = addressesOf(proxy)
  t.strictSame(addresses.map(({ address }) => address).sort(), ADDRESSES)
  t.equal(secondaryServers(proxy.app).length, 1)
  t.strictSame(secondaryServers(context!), secondaryServers(proxy.app), 'from any context')

  for (const { address: host, port } of addresses) {
    t.test(host, async (t) => {
      const client = await proxy.client({ host, port })
      const ask = (target: string, fields?: Record<string, string>) => jsonOf(client.ask('GET', target, fields))
      proxy.log.lines.length = 0
      t.match(await ask('http://example.com/a'), { url: '/http://example.com/a', proxied: 'http://example.com/a' })
      t.equal(proxy.log.count(/^incoming request$/), 1)
      t.match(await ask('/a'), { url: '/a', proxied: null })
      const untaken = await ask('http://example.com/', UPGRADE)
      t.match(untaken, { upgrade: null, proxied: 'http://example.com/' }, 'an upgrade that nobody takes')
      t.match(await ask('/', UPGRADE), { proxied: null })
      const secure = await proxy.tls('example.com:443', {}, {}, { host, port })
      t.match(await jsonOf(secure.ask('GET', '/b')), { proxied: 'https://example.com/b' })
      const plain = await proxy.tunnel('example.com:80', {}, { host, port })
      t.match(await jsonOf(plain.ask('GET', '/c')), { proxied: 'http://example.com/c' })
    })
  }
})

t.test('each server takes WebSockets, and leaves other upgrades to the routes', { skip }, async (t) => {
  const proxy = await startOnLocalhost(t, async (app) => {
    await app.register(websocket)
    app.get('/http:://example.com/socket', { websocket: true }, (socket) => { socket.send('hello') })
    echo(app)
  })
  for (const { address: host, port } of addressesOf(proxy)) {
    const client = await proxy.client({ host, port })
    const untaken = await jsonOf(client.ask('GET', 'http://example.com/', UPGRADE))
    t.match(untaken, { upgrade: null, proxied: 'http://example.com/' })
    t.equal((await client.ask('GET', 'ws://example.com/socket', HANDSHAKE)).status, 101)
    t.equal((await client.read(7)).slice(2), 'hello')
  }
})

t.test('each server reads the PROXY protocol', { skip }, async (t) => {
  const tellIp: Setup = (app) => { app.get('/*', async ({ ip }) => ip) }
  const proxy = await startOnLocalhost(t, tellIp, { proxyProtocol: { trusted: ADDRESSES } })
  for (const { address: host, port } of addressesOf(proxy)) {
    const client = await proxy.client({ host, port })
    client.write('PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n')
    t.match(await client.ask('GET', 'http://example.com/'), { body: '192.0.2.7' })
  }
})

t.test('close ends the tunnels of each server, and each server', { skip }, async (t) => {
  const proxy = await startOnLocalhost(t)
  const addresses = addressesOf(proxy)
  const clients = await Promise.all(addresses.map(({ address: host, port }) => {
    return proxy.tls('example.com:443', {}, {}, { host, port })
  }))
  await proxy.app.close()
  for (const client of clients) t.equal(await client.closed(), '')
  for (const { address: host, port } of addresses) {
    await t.rejects(once(connectSocket({ host, port }), 'connect'), { code: 'ECONNREFUSED' })
  }
})

t.test('there are no further servers before listen, or where Fastify keeps none', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  t.strictSame(secondaryServers(app), [])
  await app.register(async (child) => { t.strictSame(secondaryServers(child), []) })
  t.strictSame(secondaryServers({} as FastifyInstance), [], 'a Fastify that keeps none')
})
