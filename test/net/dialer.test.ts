/** How hosts and upstream proxies are dialled: default ports, forms of addresses, what resolves a name. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Dialer } from '../../net/dialer'
import { AddressGuard } from '../../net/guard'
import { fromEnvironment } from '../../net/via'
import type { Lookup } from '../../types/net'

function dialer (lookup?: Lookup): Dialer {
  const guard = new AddressGuard(['127.0.0.0/8', '::1'], () => [])
  return new Dialer({
    guard,
    proxyGuard: guard,
    lookup,
    tls: { secure: async () => { throw new Error('no TLS here') } }
  })
}

const limits = (): { deadline: number } => ({ deadline: performance.now() + 5_000 })

t.test('an upstream proxy without a port is at that of its scheme', async (t) => {
  // Nobody listens at this address of the loopback.
  const ports: Record<string, number> = { http: 80, https: 443, socks5: 1080 }
  for (const [scheme, port] of Object.entries(ports)) {
    const dialled = dialer().dial({ hostname: '127.0.0.1', port: 1 }, new URL(`${scheme}://127.13.13.13`), limits())
    await t.rejects(dialled, {
      code: 'FST_PROX_UPSTREAM_UNREACHABLE', message: `127.13.13.13:${port}`
    }, scheme)
  }
})

t.test('an IPv6 address is in brackets in the CONNECT', async (t) => {
  const server = net.createServer((socket) => {
    socket.once('data', (head) => socket.end(`HTTP/1.1 403 ${String(head).split('\r\n')[0]!.split(' ')[1]}\r\n\r\n`))
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const proxy = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await t.rejects(dialer().dial({ hostname: '::1', port: 443 }, proxy, limits()), { message: '403 [::1]:443' })
})

t.test('one address is dialled where Node is told to try no others', async (t) => {
  const server = net.createServer((socket) => socket.end())
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const byDefault = net.getDefaultAutoSelectFamily()
  t.teardown(() => net.setDefaultAutoSelectFamily(byDefault))
  const lookup: Lookup = (_hostname, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])
  for (const several of [true, false]) {
    net.setDefaultAutoSelectFamily(several)
    const { socket } = await dialer(lookup).dial({ hostname: 'a.test', port }, null, limits())
    t.equal(socket.remoteAddress, '127.0.0.1')
    socket.destroy()
  }
})

t.test('NO_PROXY takes names, suffixes, addresses and ports', async (t) => {
  const cases: Array<[noProxy: string, hostname: string, port: number, excepted: boolean]> = [
    ['*', 'a.test', 80, true], ['a.test', 'a.test', 80, true], ['.a.test', 'b.a.test', 80, true],
    ['*.a.test', 'b.a.test', 80, true], ['a.test:81', 'a.test', 80, false], ['a.test:80', 'a.test', 80, true],
    ['2001:db8::1', '2001:db8::1', 80, true], ['[2001:db8::1]', '2001:db8::1', 80, true],
    ['[2001:db8::1]:81', '2001:db8::1', 80, false], ['b.test, a.test', 'A.TEST', 80, true], ['test2', 'test', 80, false]
  ]
  for (const [noProxy, hostname, port, excepted] of cases) {
    const env = { http_proxy: 'http://proxy.test:3128', NO_PROXY: noProxy }
    const proxy = fromEnvironment({ scheme: 'http', hostname, port }, env)
    t.equal(proxy === null, excepted, `${noProxy} ${hostname}:${port}`)
  }
})
