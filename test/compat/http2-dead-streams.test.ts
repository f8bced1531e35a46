/** Streams that have died, and applications that have not noticed yet. */
import assert from 'node:assert'
import http2 from 'node:http2'
import type { ServerHttp2Stream } from 'node:http2'
import net from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import type { Accepted } from '../../plugin/compat/http2-stream'
import { until } from '../support/until'
import { listen } from './http2-support'

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants

/** Everything that an application may do to a request and its response. */
const CALLS: Record<string, (both: Accepted) => unknown> = {
  writeHead: ({ response }) => response.writeHead(200, { 'x-a': '1' }),
  write: ({ response }) => response.write('a', () => {}),
  end: ({ response }) => response.end('a', () => {}),
  'end without content': ({ response }) => response.end(),
  flushHeaders: ({ response }) => response.flushHeaders(),
  writeContinue: ({ response }) => response.writeContinue(),
  writeProcessing: ({ response }) => response.writeProcessing(),
  writeEarlyHints: ({ response }) => response.writeEarlyHints({ link: '</a>; rel=preload' }),
  writeInformation: ({ response }) => response.writeInformation(103),
  addTrailers: ({ response }) => response.addTrailers({ 'x-a': '1' }),
  setHeader: ({ response }) => response.headersSent || response.setHeader('x-a', '1'),
  setHeaders: ({ response }) => response.headersSent || response.setHeaders(new Map([['x-a', '1']])),
  removeHeader: ({ response }) => response.headersSent || response.removeHeader('x-a'),
  createPushResponse: ({ response }) => response.createPushResponse({ ':path': '/' }, () => {}),
  pipe: ({ response }) => Readable.from(['a', 'b']).pipe(response as unknown as NodeJS.WritableStream),
  'pipe from the request': ({ request }) => request.pipe(new PassThrough()),
  cork: ({ response }) => { response.cork(); response.uncork() },
  setTimeout: ({ request, response }) => { request.setTimeout(5, () => {}); response.setTimeout(5, () => {}) },
  sockets: ({ request, response }) => {
    for (const socket of [request.socket, response.socket]) {
      if (!socket) continue
      const { remoteAddress, writable, readable, destroyed } = socket
      assert.ok([remoteAddress, writable, readable, destroyed, socket instanceof net.Socket, 'encrypted' in socket])
      socket.setNoDelay(true)
      socket.setTimeout(0)
      socket.on('close', () => {})
      Object.assign(socket, { seen: true })
    }
  },
  read: ({ request }) => { request.resume(); request.read() },
  views: ({ request, response }) => [
    request.headersDistinct, request.trailers, request.trailersDistinct, request.complete,
    request.aborted, request.url, request.authority,
    response.headersSent, response.writableNeedDrain, response.destroyed, response.getHeaders(), response.statusCode
  ],
  'destroy the request': ({ request }) => request.destroy(new Error('no more')),
  'destroy the response': ({ response }) => response.destroy(new Error('no more')),
  'destroy the socket': ({ request }) => request.socket.destroy()
}

/** How a stream dies, seen from the server. */
const DEATHS: Record<string, (stream: ServerHttp2Stream) => void> = {
  'closed, not destroyed': (stream) => stream.close(NGHTTP2_CANCEL),
  'closed without an error': (stream) => stream.close(NGHTTP2_NO_ERROR),
  destroyed: (stream) => stream.destroy(),
  'destroyed with an error': (stream) => stream.destroy(new Error('no more')),
  'session destroyed': (stream) => stream.session?.destroy(),
  'session destroyed with an error': (stream) => stream.session?.destroy(new Error('no more'))
}

const MOMENTS: Record<string, (() => Promise<unknown>) | undefined> = {
  'the same tick': undefined,
  'the next tick': async () => await new Promise<void>((resolve) => process.nextTick(resolve)),
  'the next turn': async () => await new Promise(setImmediate),
  later: async () => await new Promise((resolve) => setTimeout(resolve, 20))
}

for (const [death, kill] of Object.entries(DEATHS)) {
  t.test(`nothing throws on a dead stream: ${death}`, async (t) => {
    const thrown: string[] = []
    const accepted: Array<[Accepted, ServerHttp2Stream]> = []
    const server = await listen(t, () => {}, { accepted: (both, stream) => { accepted.push([both, stream]) } })
    for (const first of [undefined, 'write', 'sockets']) {
      for (const [moment, wait] of Object.entries(MOMENTS)) {
        accepted.length = 0
        const session = await server.client()
        const calls = Object.entries(CALLS)
        for (let i = 0; i < calls.length; i++) {
          session.request({ ':method': 'POST' }).on('error', () => {}).resume().write('a')
        }
        await until(() => accepted.length === calls.length)
        if (first !== undefined) for (const [both] of accepted) CALLS[first]!(both)
        for (const [, stream] of accepted) kill(stream)
        if (wait !== undefined) await wait()
        for (const [i, [name, call]] of calls.entries()) {
          try {
            call(accepted[i]![0])
          } catch (err) {
            thrown.push(`${name}, ${moment}, after ${first}: ${String(err)}`)
          }
        }
        await new Promise(setImmediate)
        session.destroy()
      }
    }
    t.strictSame(thrown, [])
  })
}
