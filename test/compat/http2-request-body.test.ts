/** The content and the trailers of a request over HTTP/2, and requests that are given up. */
import http2 from 'node:http2'
import t from 'tap'
import type { Http2Request } from '../../plugin/compat/http2-request'
import { data, END_HEADERS, frame, OPENING, rstStream, TYPE } from '../support/http2-frames'
import { until } from '../support/until'
import { ask, ended, listen, UPLOAD } from './http2-support'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants

t.test('content without length and type reaches the route', async (t) => {
  const server = await listen(t, (app) => {
    app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
    app.post('/*', async ({ body, raw }) => ({ body, coding: raw.headers['transfer-encoding'], raw: raw.rawHeaders }))
    app.addHttpMethod('REPORT', { hasBody: true })
  })
  const session = await server.client()
  const post = async (headers: object, body?: string) => {
    return JSON.parse((await ask(session, { ':method': 'POST', ...headers }, body)).body)
  }
  const seen = await post({ ':authority': 'a.test' }, 'content')
  t.strictSame(seen, {
    body: 'content', coding: 'chunked', raw: ['host', 'a.test', 'transfer-encoding', 'chunked']
  })
  t.match(await post({ 'content-length': 7 }, 'content'), { body: 'content', coding: undefined })
  t.match(await post({}), { body: undefined, coding: undefined }, 'a request without content')
})

t.test('a length that the content contradicts is refused by the library', async (t) => {
  const server = await listen(t, (app) => { app.post('/', async ({ body }) => body) })
  const session = await server.client()
  for (const length of ['6', '8']) {
    const headers = { ':method': 'POST', 'content-length': length, 'content-type': 'text/plain' }
    await t.rejects(ask(session, headers, 'content'))
  }
})

t.test('an upload that was cut off is no complete one', async (t) => {
  for (const code of [NGHTTP2_NO_ERROR, NGHTTP2_CANCEL]) {
    const server = await listen(t, () => {}, {
      accepted: ({ request, response }) => {
        ended.push(new Promise((resolve) => {
          let content = ''
          request.on('data', (chunk) => { content += chunk })
          request.on('end', () => resolve(['end', content]))
          request.on('error', ({ code, message }: NodeJS.ErrnoException) => resolve([code, message]))
        }))
        t.equal(request.complete, false)
        request.once('data', () => raw.write(rstStream(1, code)))
        response.flushHeaders()
        requests.push(request)
      }
    })
    const ended: Array<Promise<unknown>> = []
    const requests: Http2Request[] = []
    const raw = await server.raw()
    raw.write(Buffer.concat([OPENING, frame(TYPE.HEADERS, END_HEADERS, 1, UPLOAD), data(1, 'half')]))
    await until(() => ended.length === 1)
    t.strictSame(await ended[0], ['ECONNRESET', 'aborted'])
    t.match(requests[0], { aborted: true, complete: false, destroyed: true })
  }
})

t.test('an upload that is cut off behind its response is no complete one', async (t) => {
  let end: Promise<unknown> | undefined
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      end = new Promise((resolve) => {
        request.on('end', () => resolve('end')).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code))
      })
      request.once('data', () => {
        response.end('early')
        setImmediate(() => raw.write(rstStream(1, NGHTTP2_CANCEL)))
      })
    }
  })
  const raw = await server.raw()
  raw.write(Buffer.concat([OPENING, frame(TYPE.HEADERS, END_HEADERS, 1, UPLOAD), data(1, 'half')]))
  await until(() => end !== undefined)
  t.equal(await end, 'ECONNRESET')
})

t.test('a body that is complete is read to its end, whenever that is', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request, response }) => {
      request.resume().on('end', () => {
        t.equal(request.complete, true)
        t.equal(request.aborted, false)
        response.end('read')
      })
      t.equal(request.complete, false)
    }
  })
  t.match(await ask(await server.client(), { ':method': 'POST' }, 'content'), { status: 200, body: 'read' })
})

t.test('a request tells that its client has left', async (t) => {
  const requests: Http2Request[] = []
  const events: string[] = []
  const server = await listen(t, () => {}, {
    accepted: ({ request }) => {
      requests.push(request)
      request.on('aborted', () => events.push('aborted')).on('close', () => events.push('close'))
      if (request.url === '/error') request.on('error', () => events.push('error'))
    }
  })
  const session = await server.client()
  for (const [method, path, expected] of [
    ['GET', '/error', ['aborted', 'error', 'close']], ['GET', '/', ['aborted', 'close']], ['HEAD', '/', ['close']]
  ] as const) {
    events.length = 0
    const stream = session.request({ ':method': method, ':path': path })
    const count = requests.length
    await until(() => requests.length > count)
    const request = requests.at(-1)!
    t.equal(request.aborted, false)
    stream.close(NGHTTP2_CANCEL)
    await until(() => events.includes('close'))
    t.strictSame(events, expected)
    t.match(request, { aborted: true, complete: true })
  }
})

t.test('a request that the application destroys takes its stream with it', async (t) => {
  const server = await listen(t, () => {}, {
    accepted: ({ request }) => { request.destroy(request.url === '/error' ? new Error('no more') : undefined) }
  })
  const session = await server.client()
  for (const [path, code] of [['/', NGHTTP2_CANCEL], ['/error', http2.constants.NGHTTP2_INTERNAL_ERROR]] as const) {
    const stream = session.request({ ':path': path })
    await ended(stream).catch(() => {})
    t.equal(stream.rstCode, code)
  }
})

t.test('trailers are those of the request', async (t) => {
  const server = await listen(t, (app) => {
    app.post('/', async ({ raw }) => ({
      trailers: raw.trailers,
      distinct: raw.trailersDistinct,
      raw: raw.rawTrailers,
      symbols: Object.getOwnPropertySymbols(raw.trailers).length
    }))
  })
  const headers = { ':method': 'POST', 'content-type': 'text/plain' }
  const stream = (await server.client()).request(headers, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-a': ['1', '2'] })).end('content')
  t.strictSame(JSON.parse(Buffer.concat(await stream.toArray()).toString()), {
    trailers: { 'x-a': '1, 2' }, distinct: { 'x-a': ['1', '2'] }, raw: ['x-a', '1', 'x-a', '2'], symbols: 0
  })
})
