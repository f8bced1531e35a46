/** What a response over HTTP/2 sends beside its head is sent as over HTTP/1.1. */
import { once } from 'node:events'
import http2 from 'node:http2'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Http2Response } from '../../plugin/compat/http2-response'
import { until } from '../support/until'
import { answerOf, ask, ended, listen } from './http2-support'

t.test('content is dropped where there can be none', async (t) => {
  for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]] as const) {
    let written = 0
    const answer = await answerOf(t, (response) => {
      response.statusCode = status
      t.equal(response.write('a', () => { written++ }), true)
      t.equal(response.write('b', 'utf8', () => { written++ }), true)
      t.equal(response.write('c'), true)
      response.end('d')
    }, method)
    t.match(answer, { status, body: '' })
    t.equal(written, 2)
  }
})

t.test('writing behind the end does not take the answer back', async (t) => {
  let code: unknown
  const answer = await answerOf(t, (response) => {
    response.end('whole')
    t.equal(response.write('more', (err) => { code = (err as NodeJS.ErrnoException).code }), false)
    t.equal(response.write('more'), false)
    response.end('more')
  })
  t.match(answer, { status: 200, body: 'whole' })
  t.equal(code, 'ERR_HTTP2_INVALID_STREAM')
})

t.test('a response that is destroyed is not whole', async (t) => {
  const server = await listen(t, (app) => {
    app.get('/', (_request, reply) => {
      const { raw } = reply.hijack()
      raw.write('half')
      t.equal(raw.destroyed, false)
      t.equal(raw.destroy(), raw)
      t.equal(raw.destroyed, true)
      raw.destroy()
    })
    app.get('/stream', async (_request, reply) => {
      return reply.send(new Readable({
        read () {
          this.push('half')
          setImmediate(() => this.destroy(new Error('broken')))
        }
      }))
    })
    app.get('/whole', (_request, reply) => {
      const { raw } = reply.hijack()
      raw.end('whole', () => raw.destroy())
    })
  })
  const session = await server.client()
  await t.rejects(ask(session), { code: 'ERR_HTTP2_STREAM_ERROR' })
  await t.rejects(ask(session, { ':path': '/stream' }), { code: 'ERR_HTTP2_STREAM_ERROR' })
  t.match(await ask(session, { ':path': '/whole' }), { body: 'whole' })
})

t.test('informational responses are sent before the head', async (t) => {
  const done: string[] = []
  const { informational, status } = await answerOf(t, (response) => {
    t.equal(response.writeContinue(() => done.push('continue')), true)
    response.writeProcessing()
    t.equal(response.writeEarlyHints({}), false)
    response.writeEarlyHints({ link: ['</a>; rel=preload', '</b>; rel=preload'], 'keep-alive': 'a', 'x-a': 'a' })
    response.writeEarlyHints({ link: '</a>' }, () => done.push('hints'))
    t.equal(response.writeInformation(103, { link: '~'.repeat(70_000) }), false, 'more than can be sent')
    t.equal(response.writeInformation(104), true)
    response._implicitHeader()
    t.equal(response.writeContinue(), false)
    response.end()
  })
  t.equal(status, 200)
  t.strictSame(informational.map((fields) => [fields[':status'], fields.link]), [
    [100, undefined], [102, undefined], [103, '</a>; rel=preload, </b>; rel=preload'], [103, '</a>'], [104, undefined]
  ])
  t.equal(informational[2]!['keep-alive'], undefined)
  t.strictSame(done, ['continue', 'hints'])
})

t.test('trailers are sent without what no trailer can hold', async (t) => {
  const { trailers } = await answerOf(t, (response) => {
    response.writeHead(200).write('content')
    response.addTrailers({ 'x-a': '1', 'keep-alive': 'a', location: ['/a', '/b'] })
    response.addTrailers([['X-B', ' 2 ']])
    response.setTrailer('x-c', '3')
    response.setTrailer('x-d', '~'.repeat(70_000))
    t.throws(() => response.setTrailer('x e', '1'), { code: 'ERR_INVALID_HTTP_TOKEN' })
    t.throws(() => response.addTrailers({ 'x-e': 'a\nb' }), { code: 'ERR_INVALID_CHAR' })
    response.end()
  })
  t.strictSame(Object.fromEntries(Object.entries(trailers)), { 'x-a': '1', location: '/a', 'x-b': '2', 'x-c': '3' })
})

t.test('a response has what else one of HTTP/1.1 has', async (t) => {
  await answerOf(t, (response) => {
    t.match(response, {
      strictContentLength: false,
      headersSent: false,
      writableNeedDrain: false,
      writableEnded: false,
      destroyed: false,
      finished: false
    })
    t.equal(response.req.method, 'GET')
    t.equal(response.socket, response.req.socket)
    t.equal(response.setTimeout(1_000_000, () => {}), response)
    response.flushHeaders()
    t.equal(response.headersSent, true)
    response.once('close', () => t.equal(response.socket, undefined))
    response.end()
  })
})

t.test('a body is piped at the client\'s pace', async (t) => {
  const chunk = Buffer.alloc(65_536, 'x')
  const answer = await answerOf(t, (response) => {
    const chunks = Readable.from((function * () { for (let i = 0; i < 50; i++) yield chunk })())
    chunks.pipe(response as unknown as NodeJS.WritableStream)
  })
  t.equal(answer.body.length, 50 * 65_536)
})

t.test('a response may be pushed', async (t) => {
  let push: Http2Response | undefined
  const server = await listen(t, () => {}, {
    accepted: ({ response }) => {
      response.createPushResponse({ ':path': '/pushed' }, (err, pushed) => {
        if (err === null) {
          push = pushed as Http2Response
          t.notOk(push.req)
          t.type(push.socket, 'object')
          push.writeHead(200, { connection: 'close' }).end('pushed')
        } else {
          t.match(err, { code: 'ERR_HTTP2_PUSH_DISABLED' })
        }
        response.end()
      })
    }
  })
  const session = await server.client()
  const stream = once(session, 'stream')
  await ask(session)
  const [first] = await stream as [http2.ClientHttp2Stream]
  t.equal(Buffer.concat(await first.toArray()).toString(), 'pushed')
  t.equal((await ask(await server.client({ settings: { enablePush: false } }))).status, 200)

  const cancelled = await listen(t, () => {}, {
    accepted: ({ response }) => {
      response.createPushResponse({ ':path': '/pushed' }, (_err, pushed) => {
        push = pushed as Http2Response
        push.write('half')
        response.end()
      })
    }
  })
  const client = await cancelled.client()
  client.on('stream', (stream: http2.ClientHttp2Stream) => {
    stream.on('error', () => {}).close(http2.constants.NGHTTP2_PROTOCOL_ERROR)
  })
  await ended(client.request().resume())
  await until(() => push!.destroyed)
})

t.test('a push that cannot be sent is an error of the push alone', async (t) => {
  const errors: unknown[] = []
  const { status } = await answerOf(t, (response) => {
    response.stream.pushStream = (_headers: unknown, callback: unknown) => {
      (callback as (err: Error) => void)(new Error('no more streams'))
    }
    response.createPushResponse({ ':path': '/' }, (err) => { errors.push(err); response.end() })
  })
  t.equal(status, 200)
  t.match(errors, [{ message: 'no more streams' }])
})
