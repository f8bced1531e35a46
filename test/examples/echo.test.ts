import { once } from 'node:events'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { ProxyAgent, request } from 'undici'
import { WebSocket } from 'ws'
import { startExample } from './example'

t.test('tells of every request', async (t) => {
  const { port, lines, ca, stop } = await startExample(t, 'echo')
  t.strictSame(lines, [
    `Proxy:  http://localhost:${port}, HTTP, HTTPS and WebSocket`,
    'CA:     ca/fastify-prox-ca.pem, or http://fastify-prox/download through the proxy',
    `Try:    curl --cacert ca/fastify-prox-ca.pem -x localhost:${port} "https://example.com/path/file.html?A=B"`
  ])
  const dispatcher = new ProxyAgent({ uri: `http://localhost:${port}`, requestTls: { ca: ca() }, proxyTunnel: false })
  t.teardown(() => dispatcher.close())
  for (const url of ['http://example.com/path/file.html?A=B', 'https://example.com/path/file.html?A=B']) {
    t.strictSame(await (await request(url, { dispatcher })).body.json(), { route: `/prefix/${url}`, method: 'GET', url, proxyHost: 'fastify-prox' })
  }
  const posted = await request('https://example.com/', { dispatcher, method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'hello' })
  t.match(await posted.body.json(), { method: 'POST', body: 'hello' })
  t.match(await (await request('https://fastify-prox/path', { dispatcher })).body.json(), { route: '/path' })
  t.match(await (await request('http://fastify-prox/download/pem', { dispatcher })).body.text(), /^-----BEGIN CERTIFICATE-----/)

  const socket = new WebSocket('wss://example.com/chat', { agent: new HttpsProxyAgent(`http://localhost:${port}`), ca: ca() })
  await once(socket, 'open')
  socket.send('hello')
  const [message] = await once(socket, 'message') as [Buffer]
  t.equal(message.toString(), 'https://example.com/chat: hello')
  socket.close()
  await once(socket, 'close')
  t.equal(await stop(), 0, 'ends by itself')
})
