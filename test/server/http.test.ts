/** HTTP as on a direct connection: bodies, framing, back-pressure, interim responses and trailers on every way in. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { jsonOf } from '../support/raw'
import type { RawClient, RawResponse } from '../support/raw'

const PROX = { resolver: '/' }
const MEGABYTE = 2 ** 20

interface Way {
  name: string
  client: () => Promise<RawClient>
  /** The request target for a path. */
  target: (path: string) => string
}

const ORIGIN = 'http://example.com'

function waysTo (proxy: Proxy): Way[] {
  const same = (path: string): string => path
  return [
    { name: 'direct', client: () => proxy.client(), target: (path) => `/${ORIGIN}${path}` },
    { name: 'absolute-form', client: () => proxy.client(), target: (path) => ORIGIN + path },
    { name: 'tunnel', client: () => proxy.tunnel('example.com:80'), target: same },
    { name: 'tunnel with TLS', client: () => proxy.tls('example.com:443'), target: same }
  ]
}

/** Runs a test for each way in to the same routes. */
async function onEveryWay (
  t: Test, setup: (app: FastifyInstance) => void, run: (t: Test, way: Way) => Promise<void>
): Promise<void> {
  const proxy = await start(t, { prox: PROX }, (app) => {
    for (const scheme of ['http', 'https']) {
      app.register(async (child) => setup(child), { prefix: `/${scheme}:://example.com` })
    }
  })
  for (const way of waysTo(proxy)) await t.test(way.name, async (t) => await run(t, way))
}

t.test('chunked, sized and empty responses follow each other on one connection', async (t) => {
  await onEveryWay(t, (app) => {
    app.get('/chunked', async () => Readable.from(['Hel', 'lo']))
    app.get('/sized', async () => 'Hello')
    app.get('/204', async (_request, reply) => reply.code(204).send())
    app.get('/304', async (_request, reply) => {
      return reply.code(304).header('etag', '"1"').header('content-length', '5').send()
    })
    app.get('/early', async (_request, reply) => {
      reply.raw.writeEarlyHints({ link: '</a.css>; rel=preload' })
      return 'Hello'
    })
  }, async (t, { client, target }) => {
    const connection = await client()
    const ask = async (method: string, path: string): Promise<RawResponse> => connection.ask(method, target(path))
    const chunked = await ask('GET', '/chunked')
    t.match(chunked, { status: 200, body: 'Hello', headers: { 'transfer-encoding': 'chunked' } })
    t.match(await ask('GET', '/sized'), { status: 200, body: 'Hello', headers: { 'content-length': '5' } })
    t.match(await ask('HEAD', '/sized'), { status: 200, body: '', headers: { 'content-length': '5' } })
    t.match(await ask('HEAD', '/chunked'), { status: 200, body: '' })
    t.match(await ask('GET', '/204'), {
      status: 204,
      body: '',
      headers: { 'content-length': undefined, 'transfer-encoding': undefined }
    })
    t.match(await ask('GET', '/304'), { status: 304, body: '', headers: { etag: '"1"' } })
    t.match(await ask('GET', '/early'), { status: 200, body: 'Hello', interim: [103] })
    t.match(await ask('GET', '/nowhere'), { status: 404 })
    t.match(await ask('GET', '/sized'), { status: 200, body: 'Hello' }, 'the connection is still in step')
  })
})

t.test('uploads arrive: sized, chunked, with trailers, with 100-continue', async (t) => {
  await onEveryWay(t, (app) => {
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.post('/count', async ({ raw }: FastifyRequest) => {
      let length = 0
      for await (const chunk of raw) length += chunk.length
      return { length, trailers: raw.trailers }
    })
    app.post('/json', async (request) => request.body)
  }, async (t, { client, target }) => {
    const connection = await client()
    const sized = await connection.ask('POST', target('/count'), { 'content-type': 'a/b' }, 'x'.repeat(100_000))
    t.strictSame(JSON.parse(sized.body), { length: 100_000, trailers: {} })
    const json = { 'content-type': 'application/json' }
    t.strictSame(await jsonOf(connection.ask('POST', target('/json'), json, '{"ü":1}')), { ü: 1 })

    const head = `POST ${target('/count')} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\n`
    connection.write(`${head}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n`)
    connection.write('5\r\nHello\r\n')
    connection.write('3;ext=1\r\nabc\r\n0\r\nX-Sum: 8\r\n\r\n')
    t.strictSame(await jsonOf(connection.response()), { length: 8, trailers: { 'x-sum': '8' } })

    connection.write(`${head}Content-Length: 4\r\nExpect: 100-continue\r\n\r\n`)
    const interim = 'HTTP/1.1 100 Continue\r\n\r\n'
    t.equal(await connection.read(interim.length), interim, 'before the content is sent')
    connection.write('1234')
    t.strictSame(await jsonOf(connection.response()), { length: 4, trailers: {} })
    t.equal((await connection.ask('POST', target('/count'), { expect: 'the-unexpected' }, 'a')).status, 417)
  })
})

t.test('trailers of a response arrive', async (t) => {
  await onEveryWay(t, (app) => {
    app.get('/', async (_request, reply) => {
      reply.trailer('x-sum', async (_reply: FastifyReply, payload: unknown) => String((payload as string).length))
      return 'Hello'
    })
  }, async (t, { client, target }) => {
    const connection = await client()
    t.match(await connection.ask('GET', target('/'), { te: 'trailers' }), {
      body: 'Hello',
      headers: { trailer: 'x-sum' },
      trailers: { 'x-sum': '5' }
    })
  })
})

t.test('clients of HTTP/1.0 are answered, and keep their connection where they ask for it', async (t) => {
  await onEveryWay(t, (app) => {
    app.get('/stream', async () => Readable.from(['Hel', 'lo']))
    app.get('/sized', async () => 'Hello')
  }, async (t, { client, target }) => {
    const streamed = await client()
    streamed.write(`GET ${target('/stream')} HTTP/1.0\r\n\r\n`)
    t.match(await streamed.response(), {
      status: 200,
      body: 'Hello',
      headers: { 'transfer-encoding': undefined, connection: 'close' }
    }, 'ends with the connection')

    const sized = await client()
    sized.write(`GET ${target('/sized')} HTTP/1.0\r\n\r\n`)
    t.match(await sized.response(), { body: 'Hello', headers: { 'content-length': '5', connection: 'close' } })
    t.equal(await sized.closed(), '')

    const kept = await client()
    for (let i = 0; i < 2; i++) {
      kept.write(`GET ${target('/sized')} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`)
      t.match(await kept.response(), { body: 'Hello', headers: { connection: 'keep-alive' } })
    }
  })
})

t.test('no more of a response is produced than its client reads', async (t) => {
  const total = 96 * MEGABYTE
  let produced = 0
  await onEveryWay(t, (app) => {
    app.get('/ping', async () => 'pong')
    app.get('/', async () => {
      produced = 0
      return new Readable({
        read () {
          const chunk = Buffer.alloc(Math.min(64 * 1024, total - produced))
          produced += chunk.length
          this.push(chunk.length === 0 ? null : chunk)
        }
      })
    })
  }, async (t, { client, target }) => {
    const connection = await client()
    const other = await client()
    connection.write(`GET ${target('/')} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.socket.pause()
    // Asks for other things meanwhile: the kernel's buffers take a few megabytes, then nothing more may be produced.
    for (let i = 0; i < 50; i++) await other.ask('GET', target('/ping'))
    t.ok(produced < total / 2, `${produced} of ${total} bytes were produced for a client that did not read`)

    let received = 0
    connection.detach().on('data', ({ length }: Buffer) => { received += length }).resume()
    await once(connection.socket, 'close')
    t.equal(produced, total)
    t.ok(received > total, 'all of it arrived')
  })
})

t.test('no more of an upload is taken than its route reads', async (t) => {
  const total = 48 * MEGABYTE
  const held: Array<() => void> = []
  await onEveryWay(t, (app) => {
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    app.get('/ping', async () => 'pong')
    app.post('/', async ({ raw }) => {
      await new Promise<void>((resolve) => held.push(resolve))
      let length = 0
      for await (const chunk of raw) length += chunk.length
      return { length }
    })
  }, async (t, { client, target }) => {
    const connection = await client()
    const other = await client()
    connection.write(`POST ${target('/')} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: ${total}\r\n\r\n`)
    connection.write(Buffer.alloc(total))
    for (let i = 0; i < 50; i++) await other.ask('GET', target('/ping'))
    t.ok(connection.socket.writableLength > total / 2, 'a client cannot send what is not read')
    held.pop()!()
    t.strictSame(await jsonOf(connection.response()), { length: total })
  })
})

t.test('a route notices that its client has left', async (t) => {
  let closed: (() => void) | undefined
  await onEveryWay(t, (app) => {
    app.get('/', (request, reply) => {
      request.raw.socket.once('close', () => closed!())
      reply.hijack()
      reply.raw.writeHead(200)
      reply.raw.write('first')
    })
  }, async (t, { client, target }) => {
    const gone = new Promise<void>((resolve) => { closed = resolve })
    const connection = await client()
    connection.write(`GET ${target('/')} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.socket.destroy()
    await gone
    t.pass()
  })
})
