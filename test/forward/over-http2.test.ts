/** Hosts and clients that speak HTTP/2, where the one or the other does not do as HTTP/1.1 does. */
import { once } from 'node:events'
import type { Http2ServerRequest, ServerHttp2Session } from 'node:http2'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { valuesOf } from '../../forward/fields'
import forward from '../../forward/index'
import { ask, h2, h2Over } from '../tunnel/support'
import { connect } from '../support/raw'
import { LOCAL, startForward, startRaw, startSite } from './support'

t.test('cookies in several fields are one for the host, where the plugin stands alone too', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(forward, { allow: LOCAL })
  app.get('/', (_request, reply) => reply.forward({ url: `http://127.0.0.1:${site.port}/` }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const session = h2Over(t, (await connect(t, { port })).detach(), `http://127.0.0.1:${port}`)
  t.equal(String((await ask(session, { cookie: ['a=1', 'b=2'] })).body), 'ok')
  t.equal(String((await ask(session, { cookie: 'c=3' })).body), 'ok')
  const cookies = site.seen.map(({ rawHeaders }) => valuesOf(rawHeaders, 'cookie'))
  t.strictSame(cookies, [['a=1; b=2'], ['c=3']])
})

t.test('a field that HTTP/2 of Node sends once has the value that HTTP/1.1 of Node reads', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { http2: true })
  const proxy = await startForward(t)
  const client = await proxy.tls(`localhost:${site.port}`)
  const twice = 'User-Agent: one\r\nUser-Agent: two\r\nX-A: 1\r\nX-A: 2\r\n'
  client.write(`GET / HTTP/1.1\r\nHost: localhost:${site.port}\r\n${twice}\r\n`)
  t.equal((await client.response()).body, 'ok')
  t.match(site.seen[0]!.headers, { 'user-agent': 'one', 'x-a': '1, 2' })
})

t.test('a client has the head of a response before there is any content', async (t) => {
  let finish = (): void => {}
  const site = await startSite(t, (_request, response) => {
    response.flushHeaders()
    finish = () => response.end('content')
  })
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (_request, reply) => reply.forward({ url: `http://127.0.0.1:${site.port}/` }))
  })
  const session = await h2(t, proxy, 'a.test:443')
  const stream = session.request({ ':path': '/' })
  await once(stream, 'response')
  finish()
  t.equal((await stream.toArray()).join(''), 'content')
})

t.test('interim responses and trailers of a host reach a client', async (t) => {
  const site = await startSite(t, (_request, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' })
    response.setHeader('trailer', 'x-t')
    response.addTrailers({ 'x-t': '1' })
    response.end('ok')
  }, { http2: true })
  const proxy = await startForward(t)
  const client = await proxy.tls(`localhost:${site.port}`)
  client.write(`GET / HTTP/1.1\r\nHost: localhost:${site.port}\r\nTE: trailers\r\n\r\n`)
  t.match(await client.response(), { status: 200, interim: [103], body: 'ok', trailers: { 'x-t': '1' } })
})

t.test('another session is opened when a host has closed the one that there was', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'), { http2: true })
  const sessions: ServerHttp2Session[] = []
  site.server.on('session', (session) => sessions.push(session))
  const proxy = await startForward(t)
  for (let i = 1; i <= 2; i++) {
    t.equal((await proxy.get(`https://localhost:${site.port}/`)).body, 'ok')
    t.equal(sessions.length, i)
    const session = sessions.at(-1)!
    const closed = once(session, 'close')
    session.close()
    await closed
  }
})

t.test('a client that resets its stream while a response arrives ends the exchange', async (t) => {
  const raw = await startRaw(t, (socket) => {
    socket.on('close', () => closed())
    // In one write, so that both heads are read in the same turn.
    socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
  })
  let closed = (): void => {}
  const hostClosed = new Promise<void>((resolve) => { closed = resolve })
  let end: (err: Error | null) => void = () => {}
  const ended = new Promise<Error | null>((resolve) => { end = resolve })
  const proxy = await startForward(t, {}, (app) => {
    app.onExchange(({ request }) => ({
      informational: () => { (request.raw as unknown as Http2ServerRequest).stream.destroy() },
      response: () => t.fail('there is nobody for it'),
      end: ({ error }) => end(error)
    }))
    app.all('/*', (_request, reply) => reply.forward({ url: `http://127.0.0.1:${raw.port}/` }))
  })
  const session = await h2(t, proxy, 'a.test:443')
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => {})
  t.match(await ended, { message: 'the client left' })
  await hostClosed
})
