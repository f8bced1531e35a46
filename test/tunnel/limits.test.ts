/** The Fastify server's own limits hold for HTTP/1.1 inside tunnels, with TLS and without. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { echo, PROX, until } from './support'

const HEAD = 'POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n'

async function inEveryTunnel (
  t: Test, proxy: Proxy, test: (t: Test, client: RawClient) => Promise<void>
): Promise<void> {
  await t.test('plain', async (t) => await test(t, await proxy.tunnel('example.com:80')))
  await t.test('TLS', async (t) => await test(t, await proxy.tls('example.com:443')))
}

t.test('headersTimeout ends a tunnel that sends half a head', async (t) => {
  const http = { headersTimeout: 100, connectionsCheckingInterval: 10 }
  const proxy = await start(t, { fastify: { http }, prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write('GET /a HTTP/1.1\r\nHost: exa')
    t.equal((await client.response()).status, 408)
    t.equal(await client.closed(), '')
  })
})

t.test('requestTimeout ends a tunnel that sends half a request', async (t) => {
  const fastify = { requestTimeout: 100, http: { connectionsCheckingInterval: 10 } }
  const proxy = await start(t, { fastify, prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write(`${HEAD}half`)
    t.equal((await client.response()).status, 408)
    t.equal(await client.closed(), '')
  })
})

t.test('keepAliveTimeout ends a tunnel that is idle', async (t) => {
  const proxy = await start(t, { fastify: { keepAliveTimeout: 50 }, prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    t.equal((await client.ask('GET', '/a')).status, 200)
    t.equal(await client.closed(), '')
  })
  t.match(await proxy.log.next(/closed: idle/), { level: 'debug', requests: 1 })
})

t.test('the client is told how long a tunnel may be idle', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    t.equal((await client.ask('GET', '/a')).headers['keep-alive'], 'timeout=72', 'as long as on other connections')
    t.equal((await client.ask('GET', '/a', { connection: 'close' })).headers['keep-alive'], undefined)
  })
})

t.test('a tunnel may be silent for ever without keepAliveTimeout and timeouts.idle', async (t) => {
  const patient = await start(t, { prox: PROX }, (app) => {
    echo(app)
    app.server.keepAliveTimeout = 0
  })
  const client = await patient.tunnel('patient.test:80')
  t.equal((await client.ask('GET', '/a')).status, 200)
  const proxy = await start(t, { fastify: { keepAliveTimeout: 40 }, prox: PROX }, echo)
  const idle = await proxy.tunnel('idle.test:80')
  t.equal(await idle.closed(), '')
  t.equal((await client.ask('GET', '/b')).status, 200, 'a tunnel that was silent for as long')
})

t.test('timeouts.idle holds in its place, and never while a request runs', async (t) => {
  let release = (): void => {}
  const released = new Promise<void>((resolve) => { release = resolve })
  const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 40 } } }, (app) => {
    app.get('/p/*', async () => await released.then(() => 'late'))
    app.post('/p/*', async ({ body }) => body)
  })
  const busy = await proxy.tunnel('busy.test:80')
  const answer = busy.ask('GET', '/')
  const uploading = await proxy.tunnel('uploading.test:80')
  uploading.write(HEAD)
  let sent = 0
  const drip = setInterval(() => {
    sent++
    uploading.write('x')
  }, 15)
  const idle = await proxy.tunnel('idle.test:80')
  idle.write('GET')
  await idle.closed()
  await until(() => sent > 5)
  clearInterval(drip)
  uploading.write('x'.repeat(100 - sent))
  t.equal((await uploading.response()).status, 200)
  release()
  t.equal((await answer).body, 'late')
  t.equal(await busy.closed(), '', 'and then it is idle')
})

t.test('connectionTimeout ends a tunnel without traffic', async (t) => {
  const proxy = await start(t, { fastify: { connectionTimeout: 100 }, prox: PROX }, (app) => {
    app.get('/p/*', () => new Promise(() => {}))
  })
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    t.equal(await client.closed(), '')
  })
})

t.test('maxHeaderSize holds for each request', async (t) => {
  const proxy = await start(t, { fastify: { http: { maxHeaderSize: 1_024 } }, prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    t.equal((await client.ask('GET', '/a', { 'x-large': 'x'.repeat(2_000) })).status, 431)
    t.equal(await client.closed(), '')
  })
  const patient = await start(t, { fastify: { http: { maxHeaderSize: 40_000 } }, prox: PROX }, echo)
  await inEveryTunnel(t, patient, async (t, client) => {
    t.equal((await client.ask('GET', '/a', { 'x-large': 'x'.repeat(30_000) })).status, 200)
  })
})

t.test('maxRequestsPerSocket ends a tunnel after so many requests', async (t) => {
  const proxy = await start(t, { fastify: { maxRequestsPerSocket: 2 }, prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    t.equal((await client.ask('GET', '/a')).headers.connection, 'keep-alive')
    t.equal((await client.ask('GET', '/a')).headers.connection, 'close')
    t.equal(await client.closed(), '')
  })
})

t.test('pipelined requests are answered in their order', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, timeouts: { idle: 50 } } }, (app) => {
    app.get<{ Params: { '*': string } }>('/p/*', async ({ proxy }) => {
      if (proxy!.url.endsWith('/0')) await new Promise((resolve) => setTimeout(resolve, 150))
      return proxy!.url
    })
  })
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write(Array.from({ length: 20 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    for (let i = 0; i < 20; i++) t.match((await client.response()).body, new RegExp(`://example.com/${i}$`))
  })
})

t.test('targets in absolute-form are for the host of the tunnel, or misdirected', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    const scheme = t.name === 'TLS' ? 'https' : 'http'
    const url = async (target: string): Promise<unknown> => {
      const { status, body } = await client.ask('GET', target)
      return status === 200 ? JSON.parse(body).url : [status, JSON.parse(body).code]
    }
    t.equal(await url(`${scheme}://Example.com/a?b`), `${scheme}://example.com/a?b`)
    t.strictSame(await url(`${scheme}://example.com:8000/a`), [421, 'FST_PROX_MISDIRECTED'])
    t.strictSame(await url(`${scheme}://example.org/a`), [421, 'FST_PROX_MISDIRECTED'])
    t.strictSame(await url(`${scheme === 'https' ? 'http' : 'https'}://example.com/a`), [421, 'FST_PROX_MISDIRECTED'])
  })
})

t.test('what is no request is answered 400, or by clientErrorHandler', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write('GET / HTTP/9.9\r\n\r\n')
    t.equal((await client.response()).status, 400)
    t.equal(await client.closed(), '')
  })
  t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { level: 'debug', code: /^HPE_/, requests: 0 })

  const clientErrorHandler = (_err: Error, socket: Socket): void => {
    socket.end('HTTP/1.1 444 Mine\r\nConnection: close\r\n\r\n')
  }
  const own = await start(t, { prox: PROX, fastify: { clientErrorHandler } }, echo)
  await inEveryTunnel(t, own, async (t, client) => {
    client.write('GET / HTTP/9.9\r\n\r\n')
    t.equal((await client.response()).status, 444)
  })
})

t.test('a route may break its connection', async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => {
    app.get('/p/*', ({ raw }) => { raw.socket.destroy(new Error('enough')) })
  })
  const client = await proxy.tunnel('example.com:80')
  client.write('GET / HTTP/1.1\r\nHost: example.com\r\n\r\n')
  t.equal(await client.closed(), '')
  t.match(await proxy.log.next(/tunnel to example.com:80 closed/), { level: 'debug', code: 'enough', requests: 1 })
})

t.test('a server without a handler for client errors ends the tunnel', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  proxy.app.server.removeAllListeners('clientError')
  const client = await proxy.tunnel('example.com:80')
  client.write('GET / HTTP/9.9\r\n\r\n')
  t.equal(await client.closed(), '')
})

t.test('a CONNECT inside a tunnel is refused', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  await inEveryTunnel(t, proxy, async (t, client) => {
    client.write('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\nmore')
    t.match(await client.response('CONNECT'), { status: 405, headers: { 'content-length': '0', connection: 'close' } })
    t.equal(await client.closed(), '')
  })
  t.match(await proxy.log.next(/tunnel to example.com:443: CONNECT inside/), { level: 'info' })

  const reset = await proxy.tunnel('example.com:80')
  reset.write('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n')
  reset.socket.resetAndDestroy()
  await once(reset.socket, 'close')
  t.equal((await proxy.get('https://example.com/')).status, 200)
})
