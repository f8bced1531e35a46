/** Which fields of a proxied request reach a route. */
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { setHost, stripHopByHop } from '../../plugin/http/headers'
import { start } from '../support/proxy'

interface Told { headers: Record<string, string>, rawHeaders: string[] }

t.test('what ends at this hop never reaches a route', async (t) => {
  const proxy = await start(t, { prox: { resolver: '/' } }, (app) => {
    app.all('/*', async ({ headers, raw }) => ({ headers, rawHeaders: raw.rawHeaders }))
  })
  const asks: Record<string, (headers: Record<string, string>) => Promise<Told>> = {
    'absolute-form': async (headers) => JSON.parse((await (await proxy.client()).ask('GET', 'http://example.com/', headers)).body),
    'a tunnel': async (headers) => JSON.parse((await (await proxy.tunnel('example.com:80')).ask('GET', '/', headers)).body),
    'a tunnel with TLS': async (headers) => JSON.parse((await (await proxy.tls('example.com:443')).ask('GET', '/', headers)).body)
  }
  for (const [name, ask] of Object.entries(asks)) {
    t.test(name, async (t) => {
      const names = async (headers: Record<string, string>): Promise<string[]> => {
        const told = await ask(headers)
        const raw = new Set(told.rawHeaders.filter((_text, i) => i % 2 === 0).map((name) => name.toLowerCase()))
        t.strictSame([...raw].sort(), Object.keys(told.headers).sort(), 'headers and rawHeaders are of one mind')
        return [...raw].sort()
      }
      t.strictSame(await names({ 'Proxy-Authorization': 'Basic YTpi', 'Proxy-Connection': 'keep-alive', 'X-A': '1' }), ['host', 'x-a'])
      t.strictSame(await names({ Connection: 'keep-alive', 'Keep-Alive': 'timeout=5', Accept: '*/*' }), ['accept', 'connection', 'host'])
      t.strictSame(await names({ 'Keep-Alive': 'timeout=5' }), ['host'])
      t.strictSame(await names({ Connection: 'X-A, keep-alive,x-b , ,Te', 'X-A': '1', 'x-B': '2', TE: 'trailers', 'X-C': '3' }), ['connection', 'host', 'x-c'])
      t.strictSame(await names({ Connection: 'close', 'X-A': '1' }), ['connection', 'host', 'x-a'])
      t.strictSame(await names({ Connection: 'host, content-length, transfer-encoding, content-type, trailer, connection, nothing', 'Content-Length': '0', 'Content-Type': 'a/b', Trailer: 'x' }),
        ['connection', 'content-length', 'content-type', 'host', 'trailer'], 'what frames the message stays')
      t.strictSame(await names({ Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' }), ['connection', 'host'], 'an upgrade that was not taken')
      t.strictSame((await ask({ Host: 'other.example:99', 'X-A': '1' })).headers, { host: 'example.com', 'x-a': '1' })
    })
  }

  t.test('and a direct request is left alone', async (t) => {
    const headers = { 'Proxy-Authorization': 'Basic YTpi', 'Proxy-Connection': 'keep-alive', Connection: 'X-A', 'X-A': '1', 'Keep-Alive': 'timeout=5', Host: 'other.example' }
    const told: Told = JSON.parse((await (await proxy.client()).ask('GET', '/direct', headers)).body)
    t.match(told.headers, Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])))
  })
})

t.test('nor the error handler, when the request is refused before it is understood', async (t) => {
  const proxy = await start(t, {}, (app) => {
    app.setErrorHandler(async (_err, { headers }) => headers)
  })
  const { body } = await (await proxy.client()).ask('GET', 'http://user@example.com/', { 'proxy-authorization': 'Basic YTpi', 'proxy-connection': 'close', 'x-a': '1' })
  t.match(JSON.parse(body), { 'x-a': '1', 'proxy-authorization': undefined, 'proxy-connection': undefined })
})

/** A request as Node would make it. */
function message (rawHeaders: string[], httpVersionMajor = 1): IncomingMessage {
  const headers: Record<string, string> = {}
  for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i]!.toLowerCase()] ??= rawHeaders[i + 1]!
  return { headers, rawHeaders: [...rawHeaders], httpVersionMajor } as unknown as IncomingMessage
}

t.test('a WebSocket keeps what its handshake needs', async (t) => {
  const raw = message(['Host', 'a', 'Connection', 'keep-alive, Upgrade, X-A', 'Upgrade', 'websocket', 'X-A', '1'])
  stripHopByHop(raw, true)
  t.strictSame(raw.rawHeaders, ['Host', 'a', 'Connection', 'keep-alive, Upgrade, X-A', 'Upgrade', 'websocket'])
})

t.test('the host of the URL takes the place of every other', async (t) => {
  const same = message(['X-A', '1', 'hOST', 'example.com'])
  setHost(same, 'example.com')
  t.strictSame(same.rawHeaders, ['X-A', '1', 'hOST', 'example.com'])
  for (const rawHeaders of [['Host', 'a', 'X-A', '1'], ['X-A', '1', 'host', 'a', 'HOST', 'b'], ['X-A', '1']]) {
    const raw = message(rawHeaders)
    setHost(raw, 'example.com')
    t.equal(raw.headers.host, 'example.com')
    t.strictSame(raw.rawHeaders, ['Host', 'example.com', 'X-A', '1'])
  }
  const http2 = message([':authority', 'example.com', ':path', '/'], 2)
  setHost(http2, 'example.com')
  t.equal(http2.headers.host, 'example.com')
  t.strictSame(http2.rawHeaders, [':authority', 'example.com', ':path', '/'], 'HTTP/2 has said it in its own way')
})
