/** CONNECT and its client: how many tunnels it may have, and what happens when it leaves, waits or breaks off. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { create, Proxy, start } from '../support/proxy'
import { jsonOf, RawClient } from '../support/raw'
import { echo, PROX, until } from '../tunnel/support'
import { refusal } from './support'

const CLOSE = { connection: 'close' }

t.test('a client that never ends its side after a refusal is not waited for', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, onConnect: () => 403 } }, echo)
  const socket = net.connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
  const client = new RawClient(t, socket)
  client.write('CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n')
  t.equal((await client.response('CONNECT')).status, 403)
  client.write('more and more')
  await client.closed()
  // Goes on writing without ever ending its side, until it learns that nobody listens.
  socket.on('error', () => {})
  const words = setInterval(() => socket.write('more and more'), 50)
  t.teardown(() => clearInterval(words))
  await new Promise((resolve) => socket.on('close', resolve))
  t.pass('it is not waited for')
})

t.test('limits of number hold for all tunnels and for those of one client', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, limits: { tunnels: 2 } } }, echo)
  const tunnels = [await proxy.tunnel('a.test:80'), await proxy.tunnel('b.test:80')]
  const { response } = await proxy.connect('c.test:80')
  t.match(response, { status: 503, headers: { 'retry-after': '5', connection: 'close' } })
  t.match(JSON.parse(response.body), {
    code: 'FST_PROX_TOO_MANY_TUNNELS',
    message: 'Too many tunnels are open: the limit is 2'
  })
  t.equal((await tunnels[0]!.ask('GET', '/', CLOSE)).status, 200)
  await proxy.log.next(/tunnel to a.test:80 closed/)
  await proxy.tunnel('c.test:80')

  const single = await start(t, {
    prox: { ...PROX, limits: { tunnelsPerClient: 1 } },
    listen: { host: '::', port: 0 }
  }, echo)
  const from = (localAddress: string) => ({ host: '127.0.0.1', port: single.port, localAddress })
  const first = await single.tunnel('a.test:80', {}, from('127.0.0.1'))
  t.equal((await single.connect('a.test:80', {}, from('127.0.0.1'))).response.status, 503)
  await single.tunnel('b.test:80', {}, from('127.0.0.2'))
  first.socket.destroy()
  await single.log.next(/tunnel to a.test:80 closed/)
  await single.tunnel('a.test:80', {}, from('127.0.0.1'))
})

t.test('clients without an address are not counted as one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'socket')
  const { app, log } = await create(t, { prox: { ...PROX, limits: { tunnelsPerClient: 1 } } }, echo)
  await app.listen({ path })
  const proxy = new Proxy(t, app, log)
  const tunnels = [await proxy.tunnel('a.test:80'), await proxy.tunnel('a.test:80')]
  for (const tunnel of tunnels) t.equal((await tunnel.ask('GET', '/', CLOSE)).status, 200)
})

t.test('connections beyond keepAliveMax are closed after their answer', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, keepAliveMax: 1 } }, echo)
  const first = await proxy.tunnel('a.test:80')
  t.equal((await first.ask('GET', '/')).headers.connection, 'keep-alive')
  const second = await proxy.tunnel('b.test:80')
  t.equal((await second.ask('GET', '/')).headers.connection, 'close')
  t.equal(await second.closed(), '')
  await proxy.log.next(/tunnel to b.test:80 closed/)
  t.equal((await first.ask('GET', '/')).headers.connection, 'keep-alive')
})

t.test('a client that leaves while a hook waits gets no tunnel, and leaves nothing behind', async (t) => {
  const sockets: net.Socket[] = []
  let release = (): void => {}
  let released = new Promise<void>((resolve) => { release = resolve })
  const proxy = await start(t, { prox: PROX }, (app) => {
    echo(app)
    app.addHook('onRequest', async ({ method, raw }) => {
      if (method !== 'CONNECT') return
      sockets.push(raw.socket)
      await released
    })
  })
  const waitingClient = async (head = ''): ReturnType<Proxy['client']> => {
    const client = await proxy.client()
    const before = sockets.length
    client.write(`CONNECT left.test:443 HTTP/1.1\r\nHost: left.test\r\n\r\n${head}`)
    await until(() => sockets.length > before)
    return client
  }

  const reset = await waitingClient()
  reset.socket.resetAndDestroy()
  await until(async () => await proxy.connections() === 0)
  release()
  t.match(await proxy.log.next(/left.test:443: the client left/), { level: 'info' })

  for (const head of ['', '\x16\x03\x01']) {
    released = new Promise((resolve) => { release = resolve })
    const ended = await waitingClient(head)
    const told = once(sockets.at(-1)!, 'end')
    ended.socket.end()
    await told
    release()
    await until(async () => await proxy.connections() === 0)
    t.match(proxy.log.lines.at(-1), {
      level: 'debug',
      msg: 'tunnel to left.test:443 closed: closed by the client before it said what it wants'
    })
  }
})

interface Pipelined {
  readonly proxy: Proxy
  readonly client: RawClient<net.Socket>
  readonly socket: net.Socket
  readonly release: () => void
}

t.test('a CONNECT behind a request that is not answered yet', async (t) => {
  const pipelined = async (t: Test): Promise<Pipelined> => {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => { release = resolve })
    const proxy = await start(t, { prox: PROX }, (app) => {
      echo(app)
      app.get('/late', async () => await released.then(() => 'late'))
    })
    const connected = once(proxy.app.server, 'connect') as Promise<[unknown, net.Socket]>
    const client = await proxy.client()
    client.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\nCONNECT example.com:80 HTTP/1.1\r\nHost: a\r\n\r\n')
    const [, socket] = await connected
    return { proxy, client, socket, release }
  }

  await t.test('opens its tunnel after the answer', async (t) => {
    const { client, release } = await pipelined(t)
    release()
    t.equal((await client.response()).body, 'late')
    t.equal((await client.response('CONNECT')).status, 200)
    t.match(await jsonOf(client.ask('GET', '/a')), { url: 'http://example.com/a' })
  })

  await t.test('opens none for a client that ends its side', async (t) => {
    const { proxy, client, socket, release } = await pipelined(t)
    const closed = once(socket, 'close')
    client.socket.end()
    await closed
    release()
    t.equal(await client.closed(), '')
    t.equal((await proxy.get('http://example.com/')).status, 200)
    const urls = proxy.log.lines.flatMap(({ req }) => req === undefined ? [] : [(req as FastifyRequest).url])
    t.strictSame(urls, ['/late', '/p/http://example.com/'])
  })
})

t.test('an error of the socket before a tunnel opens does no harm', async (t) => {
  const proxy = await start(t, { prox: { ...PROX, onConnect: () => 403 } }, echo)
  const client = await proxy.client()
  client.write('CONNECT reset.test:443 HTTP/1.1\r\nHost: a\r\n\r\n')
  client.socket.resetAndDestroy()
  await until(async () => await proxy.connections() === 0)
  t.equal((await refusal(proxy, 'a.test:443'))[0], 403)
})
