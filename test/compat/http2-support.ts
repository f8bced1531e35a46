/**
 * A Fastify application behind HTTP/2 sessions whose streams become requests by `acceptStream`, and its clients.
 *
 *   const server = await listen(t, (app) => { app.get('/', …) }, { limits, secure, handed })
 *   const session = await server.client()                  Node's client of HTTP/2
 *   const answer = await ask(session, { ':path': '/a' })   one request, one answer
 *   const raw = await server.raw()                         a socket for the frames of test/support/http2-frames
 */
import { once } from 'node:events'
import http2 from 'node:http2'
import type {
  ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Session, ServerHttp2Stream
} from 'node:http2'
import net from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import tls from 'node:tls'
import type { ServerResponse, IncomingMessage } from 'node:http'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import { acceptStream, http2Options, refuseStream } from '../../plugin/compat/http2-stream'
import type { Accepted, Http2Limits } from '../../plugin/compat/http2-stream'
import type { Http2Response } from '../../plugin/compat/http2-response'
import { requestBlock } from '../support/http2-frames'

/** The fields of `GET /` for `a.test` by http, and of the same with POST. */
export const REQUEST = requestBlock('GET', 'http', 'a.test')
export const UPLOAD = requestBlock('POST', 'http', 'a.test')

export interface Setup {
  readonly fastify?: FastifyServerOptions
  readonly limits?: Http2Limits
  readonly secure?: { readonly key: string, readonly cert: string }
  /** Reads the first bytes and hands them to the session from JavaScript, as a tunnel does. */
  readonly handed?: boolean
  /** Gets what was accepted in place of the application. */
  readonly accepted?: (accepted: Accepted, stream: ServerHttp2Stream) => void
  /** Called before a stream is accepted. */
  readonly before?: (stream: ServerHttp2Stream) => void
}

export class Http2TestServer {
  readonly #t: Test
  readonly #server: net.Server
  readonly #secure: boolean
  readonly sessions: ServerHttp2Session[] = []
  /** Streams of which there was no request. */
  refused = 0

  constructor (t: Test, app: FastifyInstance, setup: Setup) {
    this.#t = t
    this.#secure = setup.secure !== undefined
    const { limits = {}, accepted, before, handed = false } = setup
    const onStream = (
      stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]
    ): void => {
      before?.(stream)
      if (headers[':method'] === 'CONNECT') return refuseStream(stream, 405)
      const both = acceptStream(stream, headers, rawHeaders, limits)
      if (both === null) this.refused++
      else if (accepted !== undefined) accepted(both, stream)
      else app.routing(both.request as unknown as IncomingMessage, both.response as unknown as ServerResponse)
    }
    const attach = (socket: Socket): void => {
      const session = http2.performServerHandshake(socket, http2Options(limits))
      this.sessions.push(session)
      session.on('error', () => {})
      session.on('stream', onStream as () => void)
    }
    const onConnection = (socket: Socket): void => {
      socket.on('error', () => {})
      if (!handed) return attach(socket)
      socket.once('data', (chunk) => {
        socket.pause()
        socket.unshift(chunk)
        attach(socket)
      })
    }
    this.#server = setup.secure === undefined
      ? net.createServer(onConnection)
      : tls.createServer({ ...setup.secure, ALPNProtocols: ['h2'] }, onConnection)
    t.teardown(() => {
      for (const session of this.sessions) session.destroy()
      this.#server.close()
    })
  }

  async listen (): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening')
    return this
  }

  get port (): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Node's client, which takes header sections of any size. */
  async client (options: http2.SecureClientSessionOptions = {}): Promise<ClientHttp2Session> {
    const session = http2.connect(`${this.#secure ? 'https' : 'http'}://127.0.0.1:${this.port}`, {
      maxHeaderListPairs: 10_000, maxSendHeaderBlockLength: 2 ** 22, ...options
    })
    session.on('error', () => {})
    this.#t.teardown(() => session.destroy())
    await once(session, 'remoteSettings')
    return session
  }

  async raw (): Promise<Socket> {
    const socket = net.connect(this.port, '127.0.0.1')
    socket.on('error', () => {})
    this.#t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
}

export async function listen (
  t: Test, routes: (app: FastifyInstance) => unknown = () => {}, setup: Setup = {}
): Promise<Http2TestServer> {
  const app = Fastify(setup.fastify)
  t.teardown(() => app.close())
  await routes(app)
  await app.ready()
  return await new Http2TestServer(t, app, setup).listen()
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly informational: IncomingHttpHeaders[]
  readonly body: string
}

/** The whole answer to a request; rejects when the stream ends without one. */
export async function ask (
  session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string | Buffer
): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  const informational: IncomingHttpHeaders[] = []
  let trailers: IncomingHttpHeaders = {}
  let content = ''
  let fields: IncomingHttpHeaders & { ':status'?: number } | undefined
  stream.on('headers', (headers) => { informational.push(headers) })
  stream.on('trailers', (headers) => { trailers = headers })
  stream.on('response', (headers) => { fields = headers })
  stream.on('data', (chunk) => { content += chunk })
  await ended(stream)
  if (fields === undefined) throw new Error('closed without an answer')
  return { status: fields[':status']!, headers: fields, trailers, informational, body: content }
}

/** The answer to a request for `/` that a function gives to a raw response. */
export async function answerOf (
  t: Test, respond: (response: Http2Response) => void, method = 'GET'
): Promise<Answer> {
  const server = await listen(t, () => {}, { accepted: ({ response }) => respond(response) })
  return await ask(await server.client(), { ':method': method })
}

/** Resolves when a stream has closed without an error. */
export async function ended (stream: ClientHttp2Stream): Promise<void> {
  await new Promise<void>((resolve, reject) => { stream.on('error', reject).on('close', resolve) })
}
