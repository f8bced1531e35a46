/** Which fields of a proxied request reach a route. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { redactHost, setHost, stripHopByHop, stripProxyAuthorization } from '../../plugin/http/headers'
import { start } from '../support/proxy'

interface Told { headers: Record<string, string>, rawHeaders: string[], distinct: Record<string, string[]> }

t.test('what ends at this hop never reaches a route', async (t) => {
  const proxy = await start(t, { prox: { resolver: '/' } }, (app) => {
    app.all('/*', async ({ headers, raw }) => ({ headers, rawHeaders: raw.rawHeaders, distinct: raw.headersDistinct }))
  })
  const asks: Record<string, (headers: Record<string, string>) => Promise<Told>> = {
    'absolute-form': async (headers) => JSON.parse(
      (await (await proxy.client()).ask('GET', 'http://example.com/', headers)).body
    ),
    'a tunnel': async (headers) => JSON.parse(
      (await (await proxy.tunnel('example.com:80')).ask('GET', '/', headers)).body
    ),
    'a tunnel with TLS': async (headers) => JSON.parse(
      (await (await proxy.tls('example.com:443')).ask('GET', '/', headers)).body
    )
  }
  for (const [name, ask] of Object.entries(asks)) {
    t.test(name, async (t) => {
      const names = async (headers: Record<string, string>): Promise<string[]> => {
        const told = await ask(headers)
        const raw = new Set(told.rawHeaders.filter((_text, i) => i % 2 === 0).map((name) => name.toLowerCase()))
        t.strictSame([...raw].sort(), Object.keys(told.headers).sort(), 'headers and rawHeaders show the same')
        t.strictSame([...raw].sort(), Object.keys(told.distinct).sort(), 'headersDistinct as well')
        return [...raw].sort()
      }
      t.strictSame(await names(
        { 'Proxy-Authorization': 'Basic YTpi', 'Proxy-Connection': 'keep-alive', 'X-A': '1' }
      ), ['host', 'x-a'])
      t.strictSame(await names(
        { Connection: 'keep-alive', 'Keep-Alive': 'timeout=5', Accept: '*/*' }
      ), ['accept', 'connection', 'host'])
      t.strictSame(await names({ 'Keep-Alive': 'timeout=5' }), ['host'])
      t.strictSame(await names(
        { Connection: 'X-A, keep-alive,x-b , ,Te', 'X-A': '1', 'x-B': '2', TE: 'trailers', 'X-C': '3' }
      ), ['connection', 'host', 'x-c'])
      t.strictSame(await names({ Connection: 'close', 'X-A': '1' }), ['connection', 'host', 'x-a'])
      t.strictSame(await names({
        Connection: 'host, content-length, transfer-encoding, content-type, trailer, connection, nothing',
        'Content-Length': '0',
        'Content-Type': 'a/b',
        Trailer: 'x'
      }), ['connection', 'content-length', 'content-type', 'host', 'trailer'], 'what frames the message stays')
      t.strictSame(await names(
        { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' }
      ), ['connection', 'host'], 'an upgrade that was not taken')
      t.strictSame((await ask({ Host: 'other.example:99', 'X-A': '1' })).headers, { host: 'example.com', 'x-a': '1' })
    })
  }

  t.test('and a direct request is left alone', async (t) => {
    const headers = {
      'Proxy-Authorization': 'Basic YTpi',
      'Proxy-Connection': 'keep-alive',
      Connection: 'X-A',
      'X-A': '1',
      'Keep-Alive': 'timeout=5',
      Host: 'other.example'
    }
    const told: Told = JSON.parse((await (await proxy.client()).ask('GET', '/direct', headers)).body)
    t.match(
      told.headers, Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
    )
  })
})

t.test('nor the error handler, when the request is refused before it is understood', async (t) => {
  const proxy = await start(t, {}, (app) => {
    app.setErrorHandler(async (_err, { headers }) => headers)
  })
  const { body } = await (await proxy.client()).ask(
    'GET', 'http://user@example.com/', { 'proxy-authorization': 'Basic YTpi', 'proxy-connection': 'close', 'x-a': '1' }
  )
  t.match(JSON.parse(body), { 'x-a': '1', 'proxy-authorization': undefined, 'proxy-connection': undefined })
})

/** The request that Node's parser makes of these fields. */
async function message (rawHeaders: string[]): Promise<IncomingMessage> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const fields = rawHeaders.map((text, i) => i % 2 === 0 ? `${text}: ` : `${text}\r\n`).join('')
  client.write(Buffer.from(`GET / HTTP/1.1\r\n${fields}\r\n`, 'latin1'))
  const [raw] = await Promise.race([once(server, 'request'), once(server, 'upgrade')]) as [IncomingMessage]
  client.destroy()
  server.close()
  return raw
}

/** The fields of a request; fails when the three views do not show the same. */
function fieldsOf (t: Test, raw: IncomingMessage): string[] {
  const { rawHeaders } = raw
  const names = new Set(rawHeaders.filter((_text, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  t.strictSame(Object.keys(raw.headers).sort(), [...names].sort())
  const distinct: Record<string, string[]> = {}
  rawHeaders.forEach((text, i) => { if (i % 2 === 0) (distinct[text.toLowerCase()] ??= []).push(rawHeaders[i + 1]!) })
  t.strictSame({ ...raw.headersDistinct }, distinct)
  t.equal(raw.headersDistinct, raw.headersDistinct, 'headersDistinct is computed once')
  return rawHeaders
}

t.test('a WebSocket keeps what its handshake needs', async (t) => {
  const raw = await message(['Host', 'a', 'Connection', 'keep-alive, Upgrade, X-A', 'Upgrade', 'websocket', 'X-A', '1'])
  stripHopByHop(raw, { keepUpgrade: true })
  t.strictSame(fieldsOf(t, raw), ['Host', 'a', 'Connection', 'keep-alive, Upgrade, X-A', 'Upgrade', 'websocket'])
})

t.test('credentials for the proxy can be kept, and taken away later', async (t) => {
  const fields = [
    'Host', 'a', 'Connection', 'Proxy-Authorization, X-A', 'PROXY-authorization', 'Basic YTpi', 'X-A', '1',
    'Proxy-Connection', 'close'
  ]
  const raw = await message(fields)
  stripHopByHop(raw, { keepProxyAuthorization: true })
  t.strictSame(fieldsOf(t, raw), fields.slice(0, 6))
  stripProxyAuthorization(raw)
  t.strictSame(fieldsOf(t, raw), fields.slice(0, 4))
  stripProxyAuthorization(raw)
  t.strictSame(fieldsOf(t, raw), fields.slice(0, 4))

  const plain = await message(['Host', 'a', 'Proxy-Authorization', 'Basic YTpi', 'Keep-Alive', 'timeout=5'])
  stripHopByHop(plain, { keepProxyAuthorization: true })
  t.strictSame(fieldsOf(t, plain), ['Host', 'a', 'Proxy-Authorization', 'Basic YTpi'])
})

t.test('a client cannot take out what a front proxy says of it, nor what frames the message', async (t) => {
  const kept = [
    'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'X-Forwarded-Port',
    'X-Forwarded-Client-Cert', 'X-Real-IP', 'Via',
    'X-Client-IP', 'X-Cluster-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'Fastly-Client-IP', 'Client-Cert',
    'X-SSL-Client-Verify',
    'X-Remote-User', 'X-Original-URL', 'Content-Type', 'Content-Encoding', 'Content-Length', 'Trailer', 'Connection',
    'Host'
  ]
  const taken = ['X-A', 'Forwarded-X', 'X-Forwarding', 'Cache-Control', 'TE', 'X-Ship']
  const rawHeaders = [...kept, ...taken].flatMap((name) => [name, name === 'Content-Length' ? '0' : 'a'])
  rawHeaders[rawHeaders.indexOf('Connection') + 1] = [...kept, ...taken].join(',')
  const raw = await message(rawHeaders)
  stripHopByHop(raw)
  t.strictSame(fieldsOf(t, raw).filter((_text, i) => i % 2 === 0), kept)
})

t.test('a field that stands more than once', async (t) => {
  const raw = await message([
    'Host', 'a', 'X-A', '1', 'connection', 'x-a', 'x-A', '2', 'Cookie', 'a', 'Cookie', 'b', 'Connection',
    'x-b', 'X-B', '3'
  ])
  stripHopByHop(raw)
  t.strictSame(fieldsOf(t, raw), ['Host', 'a', 'connection', 'x-a', 'Cookie', 'a', 'Cookie', 'b', 'Connection', 'x-b'])
  t.strictSame(raw.headersDistinct.cookie, ['a', 'b'])
})

t.test('nothing but what was listed is gone, and a view that was read before is right after', async (t) => {
  const name = fc.constantFrom(
    'x-a', 'X-B', 'x-C', 'te', 'cookie', 'keep-alive', 'proxy-authorization', 'x-forwarded-for'
  )
  await fc.assert(fc.asyncProperty(fc.array(name, { maxLength: 12 }), fc.array(
    name, { maxLength: 4 }
  ), fc.boolean(), async (names, listed, early) => {
    const raw = await message(
      ['Host', 'a', 'Connection', ['close', ...listed].join(), ...names.flatMap((name, i) => [name, String(i)])]
    )
    if (early) t.ok(raw.headersDistinct)
    stripHopByHop(raw)
    const gone = ['keep-alive', 'proxy-authorization', ...listed.map((name) => name.toLowerCase()).filter(
      (name) => name !== 'x-forwarded-for'
    )]
    const left = fieldsOf(t, raw).filter((_text, i) => i > 3 && i % 2 === 0)
    t.strictSame(left, names.filter((name) => !gone.includes(name.toLowerCase())))
  }), { numRuns: 60 })
})

t.test('names that objects have of their own are no fields', async (t) => {
  const raw = await message(
    ['Host', 'a', 'Connection', '__proto__, constructor, toString, hasOwnProperty', '__proto__', '1']
  )
  stripHopByHop(raw)
  t.strictSame(fieldsOf(t, raw), ['Host', 'a', 'Connection', '__proto__, constructor, toString, hasOwnProperty'])
  t.equal(Object.getPrototypeOf(raw.headers), Object.prototype)
})

t.test('fields beyond those that Node counts are taken out too', async (t) => {
  // Node 20 has some of them in `rawHeaders` alone, later ones refuse such a request.
  const raw = await message(['Host', 'a', 'Connection', 'X-A'])
  raw.rawHeaders.push('Proxy-Authorization', 'Basic YTpi', 'x-a', '1')
  stripHopByHop(raw)
  t.strictSame(fieldsOf(t, raw), ['Host', 'a', 'Connection', 'X-A'])
})

t.test('a Connection that lists very many names costs no more than its length', async (t) => {
  const names = Array.from({ length: 50_000 }, (_, i) => `x-${i}`)
  const headers: Record<string, string> = { connection: names.join(',') }
  for (const name of names) headers[name] = '1'
  const rawHeaders = Object.entries(headers).flat()
  const raw = { headers, rawHeaders, httpVersionMajor: 1 } as unknown as IncomingMessage
  // Fields times names, 2.5 billion comparisons, would run into the time-out of the test.
  stripHopByHop(raw)
  t.strictSame(Object.keys(raw.headers), ['connection'])
  t.strictSame(raw.rawHeaders, rawHeaders.slice(0, 2))
  t.notOk('headersDistinct' in raw, 'no view is added where there is none')
})

t.test('the host of the URL takes the place of every other', async (t) => {
  const same = await message(['X-A', '1', 'hOST', 'example.com'])
  setHost(same, 'example.com')
  t.strictSame(fieldsOf(t, same), ['X-A', '1', 'hOST', 'example.com'])
  for (const rawHeaders of [['Host', 'a', 'X-A', '1'], ['X-A', '1', 'host', 'a']]) {
    const raw = await message(rawHeaders)
    setHost(raw, 'example.com')
    t.equal(raw.headers.host, 'example.com')
    t.strictSame(fieldsOf(t, raw), ['Host', 'example.com', 'X-A', '1'])
  }
  const none = await message(['Host', 'a', 'X-A', '1'])
  delete none.headers.host
  none.rawHeaders.splice(0, 2)
  setHost(none, 'example.com')
  t.strictSame(fieldsOf(t, none), ['Host', 'example.com', 'X-A', '1'])

  const rawHeaders = [':authority', 'example.com', ':path', '/']
  const http2 = { headers: {}, rawHeaders: [...rawHeaders], httpVersionMajor: 2 } as unknown as IncomingMessage
  setHost(http2, 'example.com')
  t.equal(http2.headers.host, 'example.com')
  t.strictSame(http2.rawHeaders, rawHeaders, 'HTTP/2 has said it in its own way')
})

t.test('a host is shown without userinfo', async (t) => {
  for (const [host, shown] of [['a', 'a'], ['user:secret@a:80', 'a:80'], ['user:sec@ret@a', 'a']] as const) {
    const raw = await message(['Host', host])
    redactHost(raw)
    t.strictSame(fieldsOf(t, raw), ['Host', shown])
  }
  const http2 = (authority?: string): IncomingMessage => {
    return { headers: { ':authority': authority }, rawHeaders: [], httpVersionMajor: 2 } as unknown as IncomingMessage
  }
  const named = http2('user:secret@a')
  redactHost(named)
  t.equal(named.headers.host, 'a')
  const unnamed = http2()
  redactHost(unnamed)
  t.equal(unnamed.headers.host, undefined)
})
