/** What a client says first in a tunnel, in whatever pieces, or that it says nothing. */
import net from 'node:net'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { once } from 'node:events'
import t from 'tap'
import { start } from '../support/proxy'
import { jsonOf, RawClient, writeOnly } from '../support/raw'
import { ask, echo, h2Over, PROX, recorded } from './support'
import type { TunnelClosed, TunnelEvent } from '../../types/events'

const GET = 'GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n'
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** Carries bytes to a socket one by one, each in a segment of its own. */
function byteByByte (socket: net.Socket): Duplex {
  socket.setNoDelay(true)
  const carrier = new Duplex({
    read () {},
    async write (bytes: Buffer, _encoding, done) {
      for (const byte of bytes) {
        socket.write(Buffer.from([byte]))
        await new Promise((resolve) => setImmediate(resolve))
      }
      done()
    },
    destroy (err, done) {
      socket.destroy()
      done(err)
    }
  })
  socket.on('data', (bytes) => carrier.push(bytes)).resume()
  return carrier
}

t.test('the protocol is told by the bytes, not by the port', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const url = async (client: RawClient): Promise<unknown> => (await jsonOf(client.ask('GET', '/a'))).url
  t.equal(await url(await proxy.tunnel('example.com:443')), 'http://example.com:443/a')
  t.equal(await url(await proxy.tunnel('example.com:80')), 'http://example.com/a')
  t.equal(await url(await proxy.tls('example.com:80')), 'https://example.com:80/a')
  t.equal(await url(await proxy.tls('example.com:1234')), 'https://example.com:1234/a')
})

t.test('first bytes are understood one by one', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  await t.test('of a ClientHello', async (t) => {
    const socket = (await proxy.tunnel('example.com:443')).detach()
    const options = { servername: 'example.com', ca: proxy.app.proxyCA.certificatePem }
    const client = new RawClient(t, tls.connect({ socket: byteByByte(socket), ...options }))
    t.match(await jsonOf(client.ask('GET', '/a')), { url: 'https://example.com/a' })
  })
  await t.test('of the preface of HTTP/2', async (t) => {
    const session = h2Over(t, byteByByte((await proxy.tunnel('example.com:80')).detach()), 'http://example.com')
    t.match((await ask(session, { ':path': '/a' })).json(), { url: 'http://example.com/a', version: '2.0' })
  })
  await t.test('of a request', async (t) => {
    const client = new RawClient(t, byteByByte((await proxy.tunnel('example.com:80')).detach()))
    client.write(GET)
    t.equal((await client.response()).status, 200)
  })
})

t.test('bytes that came with the CONNECT are the first', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const connect = (bytes: string): string => `CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\r\n${bytes}`
  await t.test('a request', async (t) => {
    const client = await proxy.client(undefined, t)
    client.write(connect(GET + GET))
    t.equal((await client.response('CONNECT')).status, 200)
    t.equal((await client.response()).status, 200)
    t.equal((await client.response()).status, 200)
  })
  await t.test('HTTP/2', async (t) => {
    const client = await proxy.client(undefined, t)
    client.write(connect(`${PREFACE}\0\0\0\x04\0\0\0\0\0`))
    t.equal((await client.response('CONNECT')).status, 200)
    t.equal((await client.read(9))[3], '\x04', 'SETTINGS')
  })
  await t.test('a ClientHello', async (t) => {
    const socket = (await proxy.client(undefined, t)).detach()
    const rest = once(socket.resume(), 'data')
    let hello = connect('')
    const carrier = new Duplex({
      read () {},
      write (bytes: Buffer, _encoding, done) {
        socket.write(hello + bytes.toString('latin1'), 'latin1')
        hello = ''
        done()
      }
    })
    const client = tls.connect({ socket: carrier, servername: 'example.com', ca: proxy.app.proxyCA.certificatePem })
    const [first] = await rest as [Buffer]
    const end = first.indexOf('\r\n\r\n') + 4
    t.match(first.toString('latin1', 0, end), /^HTTP\/1\.1 200 /)
    if (first.length > end) carrier.push(first.subarray(end))
    socket.on('data', (bytes) => carrier.push(bytes))
    t.match(await jsonOf(new RawClient(t, client).ask('GET', '/a')), { url: 'https://example.com:80/a' })
  })
})

t.test('almost the preface of HTTP/2 is HTTP/1.1', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const post = await proxy.tunnel('example.com:80')
  post.write('P')
  post.write('OST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 0\r\n\r\n')
  t.equal((await post.response()).status, 200)
  const proppatch = await proxy.tunnel('example.com:80')
  proppatch.write('PROPFIND /a HTTP/1.1\r\nHost: example.com\r\n\r\n')
  t.equal((await proppatch.response()).status, 404)
  const pri = await proxy.tunnel('example.com:80')
  pri.write('PRI * HTTP/1.1\r\nHost: example.com\r\n\r\n')
  t.equal((await pri.response()).status, 400)
})

t.test('empty lines before a request are passed over', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  for (const lines of ['\r\n', '\n', '\r\n\r\n']) {
    const client = await proxy.tunnel('example.com:80')
    client.write(lines + GET)
    t.equal((await client.response()).status, 200)
  }
})

t.test('neither TLS nor HTTP ends the tunnel, and a line in the log says so', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const proxy = await start(t, { prox: PROX }, echo)
  const garbage = ['\0\0\0', '\x80\x2e\x01', '\xff']
  for (const bytes of garbage) {
    const client = await proxy.tunnel('garbage.test:22')
    client.write(bytes)
    t.equal(await client.closed(), '')
    t.match(await closed.next(), { requests: 0, code: 'PROTOCOL_UNKNOWN' })
  }
  t.match(await proxy.log.next(/closed: neither TLS nor HTTP/), { level: 'info', firstBytes: '000000' })
  t.equal(proxy.log.count(/neither TLS nor HTTP/), garbage.length)
})

t.test('text that is no HTTP is a bad request', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  for (const bytes of ['SSH-2.0-OpenSSH_9.2\r\n', 'get / HTTP/1.1\r\n\r\n', '{"a":1}', ' GET / HTTP/1.1\r\n\r\n']) {
    const client = await proxy.tunnel('garbage.test:22')
    client.write(bytes)
    t.match(await client.closed(), /^HTTP\/1\.1 400 /)
  }
})

t.test('a client that says nothing in time is disconnected', async (t) => {
  const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
  const timeouts = { firstByte: 50, handshake: 50 }
  const proxy = await start(t, { prox: { ...PROX, timeouts } }, echo)
  const end = async (host: string, bytes: string): Promise<unknown> => {
    const client = await proxy.tunnel(`${host}:443`)
    client.write(bytes)
    t.equal(await client.closed(), '')
    const { level, code, reqId } = await proxy.log.next(new RegExp(`tunnel to ${host}:443 closed`))
    t.equal(reqId, (await opened.next()).id)
    return [level, code]
  }
  t.same(await end('silent.test', ''), ['debug', 'FIRST_BYTE_TIMEOUT'])
  t.same(await end('preface.test', 'PRI * HT'), ['debug', 'FIRST_BYTE_TIMEOUT'])
  t.same(await end('hello.test', '\x16\x03\x01'), ['debug', 'HANDSHAKE_TIMEOUT'])

  await t.test('in the middle of a handshake', async (t) => {
    const socket = (await proxy.tunnel('half.test:443')).detach()
    const carrier = writeOnly(socket)
    tls.connect({ socket: carrier }).on('error', () => {})
    t.match(await proxy.log.next(/tunnel to half.test:443 closed/), { level: 'debug', code: 'HANDSHAKE_TIMEOUT' })
  })

  await t.test('and not where the limits are 0', async (t) => {
    const proxy = await start(t, { prox: { ...PROX, timeouts: { firstByte: 0, handshake: 0 } } }, echo)
    t.equal((await proxy.get('https://example.com/')).status, 200)
  })
})

t.test('a client that ends its side is disconnected, after the answer to what it has asked', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  for (const bytes of ['', 'PRI', '\x16\x03\x01\x02']) {
    const client = await proxy.tunnel('end.test:443')
    client.socket.end(Buffer.from(bytes, 'latin1'))
    t.equal(await client.closed(), '')
  }
  t.match(await proxy.log.next(/tunnel to end.test:443 closed/), { level: 'debug', code: 'CLOSED_BEFORE_FIRST_BYTE' })

  const half = new RawClient(t, net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true }))
  half.socket.write('CONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n')
  t.equal((await half.response('CONNECT')).status, 200)
  half.socket.end(GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))
  t.equal((await half.response()).status, 200, 'a request and the end of a side get an answer')
  t.equal(await half.closed(), '')
})
