/** Requests over HTTP/2: streams of one session a host. */
import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import { Readable } from 'node:stream'
import type { ExchangeConnection } from '../types/forward'
import { FST_PROX_UPSTREAM_TIMEOUT } from '../plugin/errors'
import type { Connected, Route } from './connector'
import { group } from './fields'
import { hasNoContent, upstreamError } from './upstream'
import type { Call, Upstream, UpstreamResponse } from './upstream'

/** How long a session is kept without a stream, in milliseconds. */
const KEEP_ALIVE = 30_000

/** Fields that HTTP/2 of Node sends once, and of which HTTP/1.1 of Node reads the first. */
const SINGLE = new Set([
  'age', 'authorization', 'content-encoding', 'content-language', 'content-length', 'content-location', 'content-md5',
  'content-range', 'content-type', 'date', 'dnt', 'etag', 'expires', 'from', 'host', 'if-match', 'if-modified-since',
  'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'range', 'referer',
  'retry-after', 'user-agent'
])

export class Http2Session {
  readonly #session: ClientHttp2Session
  readonly #info: Connected['info']
  #streams = 0
  #used = false

  constructor ({ target }: Route, { socket, info }: Connected) {
    this.#info = info
    this.#session = connect(`https://${target.authority}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: 1024 * 1024 }
    })
    // Streams tell what happens to them; a session without streams concerns nobody.
    this.#session.on('error', () => {})
    this.#session.on('connect', (session) => session.setLocalWindowSize(8 * 1024 * 1024))
    this.#session.setTimeout(KEEP_ALIVE, () => { if (this.#streams === 0) this.#session.close() })
    this.#session.unref()
  }

  /** Whether it takes another stream. */
  get usable (): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  onClose (listener: () => void): void {
    this.#session.on('close', listener)
  }

  destroy (): void {
    this.#session.destroy()
  }

  send (route: Route, call: Call): Upstream {
    const { target } = route
    const { method, body, observer } = call
    const headers = headersOf(route, call)
    let stream: ClientHttp2Stream
    try {
      stream = this.#session.request(headers, { endStream: body === null, waitForTrailers: body !== null })
    } catch (err) {
      return { response: Promise.reject(upstreamError(target.authority, err as Error)), abort () {} }
    }
    if (this.#streams++ === 0) this.#session.ref()
    stream.on('close', () => { if (--this.#streams === 0) this.#session.unref() })
    observer.begun({ method, httpVersion: '2', rawHeaders: rawOf(headers) }, this.#connection())
    this.#write(stream, call)
    return {
      response: responseTo(stream, target.authority, call),
      abort: () => stream.close(constants.NGHTTP2_CANCEL)
    }
  }

  #write (stream: ClientHttp2Stream, { body, trailers, observer }: Call): void {
    stream.on('finish', () => observer.sent())
    if (body === null) return
    stream.on('wantTrailers', () => stream.sendTrailers(group(trailers()) as OutgoingHttpHeaders))
    body.pipe(stream)
    stream.on('close', () => {
      body.unpipe(stream)
      body.resume()
    })
  }

  #connection (): ExchangeConnection {
    const reused = this.#used
    this.#used = true
    return { ...this.#info, reused, ...(reused && { timings: { resolve: 0, connect: 0, secure: 0 } }) }
  }
}

async function responseTo (stream: ClientHttp2Stream, authority: string, call: Call): Promise<UpstreamResponse> {
  const { method, body, headersTimeout, bodyTimeout } = call
  let rawTrailers: readonly string[] = []
  return await new Promise<UpstreamResponse>((resolve, reject) => {
    let out: Readable | null = null
    let late: Error | null = null
    let failure: Error | null = null
    const fail = (): void => {
      const closed = new Error(`the stream was closed with code ${stream.rstCode}`)
      const err = upstreamError(authority, late ?? failure ?? closed)
      if (out === null) reject(Object.assign(err, { refused: stream.rstCode === constants.NGHTTP2_REFUSED_STREAM }))
      else out.destroy(err)
    }
    stream.on('error', (err) => { failure = err })
    stream.on('close', fail)
    stream.on('trailers', (_headers: IncomingHttpHeaders, _flags: number, raw: string[]) => { rawTrailers = raw })
    stream.on('headers', (headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
      call.informational({ httpVersion: '2', statusCode: Number(headers[':status']), statusMessage: '', rawHeaders })
    })
    stream.setTimeout(headersTimeout, () => {
      // A client that is slow, to send or to read, is no fault of the host's.
      const waits = out === null
        ? body === null || stream.writableEnded || stream.writableNeedDrain
        : !out.isPaused() && out.readableLength === 0
      if (!waits) return
      late = new FST_PROX_UPSTREAM_TIMEOUT(authority, out === null ? 'response head' : 'response body')
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.on('response', (headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
      stream.setTimeout(bodyTimeout)
      const statusCode = Number(headers[':status'])
      const readable = out = new Readable({
        read () { stream.resume() },
        destroy (err, callback) {
          stream.close(constants.NGHTTP2_CANCEL)
          callback(err)
        }
      })
      // Where nobody reads it, since the client has left, it fails all the same.
      readable.on('error', () => {})
      stream.on('data', (chunk: Buffer) => { if (!readable.push(chunk)) stream.pause() })
      stream.on('end', () => {
        // A stream that was reset ends as well.
        if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) return fail()
        stream.off('close', fail)
        readable.push(null)
      })
      stream.pause()
      resolve({
        httpVersion: '2',
        statusCode,
        statusMessage: '',
        rawHeaders,
        body: readable,
        bodiless: hasNoContent(method, statusCode) || (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0,
        rawTrailers: () => rawTrailers
      })
    })
  })
}

function headersOf ({ target }: Route, { method, fields, acceptsTrailers }: Call): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    ':method': method, ':scheme': target.scheme, ':authority': target.authority, ':path': target.path
  }
  for (const [name, value] of Object.entries(group(fields))) {
    headers[name] = Array.isArray(value) && SINGLE.has(name) ? value[0] : value
  }
  if (acceptsTrailers) headers.te = 'trailers'
  return headers
}

/** Names and values by turns; pseudo-header fields are among them, as they were sent. */
function rawOf (headers: Record<string, unknown>): string[] {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((each) => [name, String(each)]))
}
