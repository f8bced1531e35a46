/** The PROXY protocol on the connections of a server: who is believed, and what of it the application sees. */
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import tls from 'node:tls'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { duplexPair } from '../../plugin/clients/duplex-pair'
import type { FastifyProxOptions } from '../../types/options'
import * as frames from '../support/http2-frames'
import { secure, start } from '../support/proxy'
import type { Proxy, ProxyOptions, Setup } from '../support/proxy'
import { binary, binaryOf, FAMILY, line, tlv } from '../support/proxy-header'
import { RawClient } from '../support/raw'
import { HANDSHAKE } from '../support/websocket'

/** The balancer's address; the loopback has others, which it is not. */
const TRUSTED = ['127.0.0.1/32', '::1']
const CLIENT = '192.0.2.7'
const HEADER = line(CLIENT)

function telling (app: FastifyInstance): void {
  app.all('/*', async ({ ip, raw, proxy }) => {
    const { remoteAddress, remotePort, localAddress } = raw.socket
    return { ip, remoteAddress, remotePort, localAddress, tunnel: proxy?.tunnel?.remoteAddress ?? null }
  })
}

async function startBehind (
  t: Test, prox: Partial<FastifyProxOptions> = {}, options: ProxyOptions = {}, setup: Setup = telling
): Promise<Proxy> {
  const proxyProtocol = { trusted: TRUSTED, ...prox.proxyProtocol }
  return await start(t, { ...options, prox: { resolver: '/', ...prox, proxyProtocol } }, setup)
}

/** A connection on which pieces have been sent, one by one. */
async function send (t: Test, proxy: Proxy, pieces: Buffer[], from = '127.0.0.1'): Promise<RawClient<net.Socket>> {
  const socket = net.connect({ ...proxy.connection, localAddress: from } as net.NetConnectOpts)
  socket.setNoDelay()
  const client = new RawClient(t, socket)
  await once(socket, 'connect')
  for (const piece of pieces) {
    client.write(piece)
    await new Promise(setImmediate)
  }
  return client
}

/** What the application tells a client that asks for a URL. */
async function tell (client: RawClient, url = 'http://example.com/'): Promise<unknown> {
  return JSON.parse((await client.ask('GET', url)).body)
}

const seen = { ip: CLIENT, remoteAddress: CLIENT, remotePort: 40000, localAddress: '198.51.100.1', tunnel: null }

t.test('both versions, whole, in pieces and with the first payload behind them', async (t) => {
  const proxy = await startBehind(t)
  const block = tlv(4, Buffer.alloc(30))
  for (const header of [HEADER, binaryOf(CLIENT, '198.51.100.1', block)]) {
    t.strictSame(await tell(await send(t, proxy, [header])), seen)
    const bytes = Array.from(header, (byte) => Buffer.from([byte]))
    t.strictSame(await tell(await send(t, proxy, bytes)), seen, 'a byte at a time')
    const payload = Buffer.from('GET /a HTTP/1.1\r\nhost: a\r\n\r\n')
    const client = await send(t, proxy, [Buffer.concat([header, payload])])
    t.strictSame(JSON.parse((await client.response()).body), seen, 'with a request in one chunk')
    t.strictSame(await tell(client, '/b'), seen, 'and the next request of the connection')
    const half = await send(t, proxy, [Buffer.concat([header, payload.subarray(0, 9)]), payload.subarray(9)])
    t.strictSame(JSON.parse((await half.response()).body), seen, 'with half a request')
  }
})

t.test('IPv6, unix, LOCAL and UNKNOWN', async (t) => {
  const proxy = await startBehind(t)
  t.match(await tell(await send(t, proxy, [line('2001:db8::7', '::1')])), { ip: '2001:db8::7', localAddress: '::1' })
  const ipv6 = await send(t, proxy, [binaryOf('2001:db8::7', '2001:db8::1')])
  t.match(await tell(ipv6), { ip: '2001:db8::7', localAddress: '2001:db8::1' })
  const unix = await tell(await send(t, proxy, [binary(FAMILY.unix, Buffer.alloc(216))])) as object
  t.notOk('remoteAddress' in unix, 'a client on a unix socket has no address')
  for (const header of [Buffer.from('PROXY UNKNOWN\r\n'), binary(FAMILY.unspec, Buffer.alloc(0), 0x20)]) {
    t.match(await tell(await send(t, proxy, [header])), { ip: '127.0.0.1', localAddress: '127.0.0.1' })
  }
})

t.test('tunnels: the address, the limits and the log follow', async (t) => {
  const proxy = await startBehind(t, { limits: { tunnelsPerClient: 1 } })
  const open = async (header: Buffer): Promise<{ client: RawClient<net.Socket>, status: number }> => {
    const client = await send(t, proxy, [header])
    client.write('CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n')
    return { client, status: (await client.response('CONNECT')).status }
  }
  const ca = proxy.app.proxyCA.certificatePem
  const { client } = await open(HEADER)
  t.equal((await open(HEADER)).status, 503, 'a second one of the client')
  const inner = await secure(t, client.detach(), 'example.com:443', { ca })
  t.strictSame(await tell(inner, '/'), { ...seen, tunnel: CLIENT })

  const other = line('192.0.2.8')
  const { client: another, status } = await open(other)
  t.equal(status, 200, 'of another client')
  t.equal((await open(other)).status, 503)
  const socket = tls.connect({ socket: another.detach(), servername: 'example.com', ca, ALPNProtocols: ['h2'] })
  const session = http2.connect('https://example.com', { createConnection: () => socket })
  t.teardown(() => session.destroy())
  const stream = session.request({ ':path': '/' }).setEncoding('utf8')
  t.match(JSON.parse((await stream.toArray()).join('')), { ip: '192.0.2.8', tunnel: '192.0.2.8' })
  const asked = proxy.log.lines.filter(({ msg }) => msg === 'incoming request')
  t.strictSame(new Set(asked.map(({ req }) => (req as { ip: string }).ip)), new Set([CLIENT, '192.0.2.8']))
})

t.test('from elsewhere a header is a bad request, and the connection is its own', async (t) => {
  const proxy = await startBehind(t)
  const own = await tell(await send(t, proxy, [], '127.0.0.2'))
  t.match(own, { ip: '127.0.0.2', localAddress: '127.0.0.1' })
  for (const header of [HEADER, binaryOf(CLIENT, '198.51.100.1')]) {
    const refused = await send(t, proxy, [header, Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n')], '127.0.0.2')
    t.match(await refused.closed(), /^HTTP\/1\.1 400 /)
  }
})

t.test('a trusted connection without a header is closed, with one line in the log', async (t) => {
  const proxy = await startBehind(t)
  const wrong: Array<[Buffer, RegExp]> = [
    [Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), /: it does not begin with a header$/],
    [binary(FAMILY.udp4, Buffer.alloc(12)), /: it does not begin with a header$/],
    [line('1.2.3.4', '::1'), /: it does not begin with a header$/]
  ]
  for (const [bytes, message] of wrong) {
    proxy.log.lines.length = 0
    const client = await send(t, proxy, [bytes])
    t.equal(await client.closed(), '')
    await proxy.log.next(message)
    t.match(proxy.log.lines, [{
      level: 'warn',
      code: 'FST_PROX_BAD_PROXY_HEADER',
      remoteAddress: '127.0.0.1',
      firstBytes: bytes.toString('hex', 0, 16)
    }])
    t.equal(proxy.log.lines.length, 1)
  }

  const half = await send(t, proxy, [HEADER.subarray(0, 10)])
  half.socket.end()
  t.equal(await half.closed(), '')
  await proxy.log.next(/^The connection from 127\.0\.0\.1 was closed, .*: it ended within the header$/)
  const reset = await send(t, proxy, [HEADER.subarray(0, 10)])
  proxy.log.lines.length = 0
  await pause(20)
  reset.socket.resetAndDestroy()
  await proxy.log.next(/: it ended within the header$/)

  proxy.log.lines.length = 0
  const silent = await send(t, proxy, [])
  silent.socket.end()
  t.equal(await silent.closed(), '', 'a balancer that only looks')
  t.match(await tell(await send(t, proxy, [HEADER])), seen, 'the next one is served')
  t.strictSame(proxy.log.messages('warn'), [])
})

t.test('a header that does not come in time', async (t) => {
  const proxy = await startBehind(t, { proxyProtocol: { trusted: TRUSTED, timeout: 50 } })
  for (const pieces of [[], [HEADER.subarray(0, 20)]]) {
    proxy.log.lines.length = 0
    const client = await send(t, proxy, pieces)
    t.equal(await client.closed(), '')
    await proxy.log.next(/: its header did not come in time$/)
    t.equal(proxy.log.lines.length, 1)
  }
  const patient = await startBehind(t, { proxyProtocol: { trusted: TRUSTED, timeout: 0 } })
  const client = await send(t, patient, [HEADER.subarray(0, 20)])
  await pause(100)
  client.write(HEADER.subarray(20))
  t.match(await tell(client), seen)
})

t.test('a server that closes does not wait for headers', async (t) => {
  const proxy = await startBehind(t, { proxyProtocol: { trusted: TRUSTED, timeout: 0 } }, {}, (app) => {
    telling(app)
    // Others close what they have while this plugin has closed already.
    app.addHook('preClose', async () => await closing)
  })
  let go!: () => void
  const closing = new Promise<void>((resolve) => { go = resolve })
  const early = await send(t, proxy, [HEADER.subarray(0, 20)])
  const served = await send(t, proxy, [HEADER])
  t.match(await tell(served), seen)
  const closed = proxy.app.close()
  t.equal(await early.closed(), '')
  const late = await send(t, proxy, [])
  t.equal(await late.closed(), '')
  const silent = await send(t, proxy, [HEADER])
  t.match(await silent.ask('GET', '/'), { status: 503 }, 'Fastify itself is closing')
  go()
  await closed
})

t.test('TLS to the proxy itself comes behind the header', async (t) => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  for (const allowHTTP1 of [undefined, true]) {
    const https = { ...await ca.issue('localhost'), ...(allowHTTP1 && { allowHTTP1 }) }
    const fastify = { https, ...(allowHTTP1 && { http2: true }) }
    const proxy = await startBehind(t, { ca }, { fastify })
    const trust = { ca: ca.certificatePem }
    for (const pieces of [[HEADER], [HEADER.subarray(0, 3), HEADER.subarray(3)]]) {
      const outer = await secure(t, (await send(t, proxy, pieces)).detach(), 'localhost:443', trust)
      t.strictSame(await tell(outer), seen)
      outer.write('CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n')
      t.equal((await outer.response('CONNECT')).status, 200)
      const inner = await secure(t, outer.detach(), 'example.com:443', trust)
      t.strictSame(await tell(inner, '/'), { ...seen, tunnel: CLIENT })
    }
    if (allowHTTP1 === undefined) continue
    const socket = (await send(t, proxy, [HEADER])).detach()
    const session = http2.connect('https://localhost', {
      createConnection: () => tls.connect({ socket, servername: 'localhost', ...trust, ALPNProtocols: ['h2'] })
    })
    t.teardown(() => session.destroy())
    const stream = session.request({ ':path': '/' }).setEncoding('utf8')
    t.match(JSON.parse((await stream.toArray()).join('')), { ip: CLIENT, remoteAddress: CLIENT })
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': 'example.com:443' })
    await once(tunnel, 'response')
    const inner = await secure(t, tunnel, 'example.com:443', trust)
    t.match(await tell(inner, '/'), { ip: CLIENT, tunnel: CLIENT })
  }
})

t.test('HTTP/2 without TLS behind the header in one chunk, dead streams too', async (t) => {
  const proxy = await startBehind(t, {}, { fastify: { http2: true } })
  for (const code of [null, 8]) {
    const first = code === null ? [] : [frames.rstStream(1, code)]
    const client = await send(t, proxy, [Buffer.concat([
      HEADER, frames.PREFACE, frames.settings(), ...frames.headers(1, frames.request({ ':path': '/' })), ...first
    ])])
    const socket = client.detach().resume()
    socket.write(Buffer.concat(frames.headers(3, frames.request({ ':path': '/' }))))
    let received = ''
    socket.setEncoding('latin1').on('data', (text: string) => { received += text })
    const answered = (): number => received.split(`"ip":"${CLIENT}"`).length - 1
    while (answered() < (code === null ? 2 : 1)) await once(socket, 'data')
    t.ok(socket.writable)
  }
})

t.test('on a unix socket', async (t) => {
  const path = join(t.testdir(), 'proxy.sock')
  const proxy = await startBehind(t, { proxyProtocol: { trusted: ['unix'] } }, { listen: { path } })
  t.strictSame(await tell(await send(t, proxy, [HEADER])), seen)
  t.equal(await (await send(t, proxy, [Buffer.from('GET / HTTP/1.1\r\n\r\n')])).closed(), '')
  await proxy.log.next(/^The connection from a unix socket was closed/)
  const other = join(t.testdir(), 'other.sock')
  const without = await startBehind(t, {}, { listen: { path: other } })
  t.equal((await (await send(t, without, [])).ask('GET', '/')).status, 200)
})

t.test('a stream that a program has the server serve has no balancer', async (t) => {
  const proxy = await startBehind(t)
  const [clientEnd, serverEnd] = duplexPair()
  proxy.app.server.emit('connection', serverEnd)
  t.equal((await new RawClient(t, clientEnd).ask('GET', '/')).status, 200)
})

t.test('upgrades, which some versions of Node have read twice', async (t) => {
  const proxy = await startBehind(t, {}, {}, async (app) => {
    await app.register(websocket)
    app.get('/socket', { websocket: true }, (socket, { ip }) => { socket.send(ip) })
    telling(app)
  })
  const client = await send(t, proxy, [HEADER])
  const h2c = await client.ask('GET', 'http://example.com/', { connection: 'Upgrade', upgrade: 'h2c' })
  t.match(JSON.parse(h2c.body), seen, 'one that nobody takes')
  t.equal((await client.ask('GET', '/socket', HANDSHAKE)).status, 101)
  t.equal((await client.read(2 + CLIENT.length)).slice(2), CLIENT)
})
