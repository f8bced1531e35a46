/** What can still be done with a stream of HTTP/2, and which requests came over one. */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2Stream } from 'node:http2'

/**
 * Tells whether a stream can still be answered. A stream that is `closed` but not yet `destroyed` cannot: it has been
 * reset, and `respond()` throws. Node's own compatibility layer looks at `destroyed` alone in many places.
 */
export function isAlive (stream: Http2Stream): boolean {
  return !stream.closed && !stream.destroyed && stream.session !== undefined && !stream.session.destroyed
}

export function isHttp2 (raw: IncomingMessage | Http2ServerRequest): raw is Http2ServerRequest {
  return raw.httpVersionMajor === 2
}

/** A listener of 'error' events that are told elsewhere. */
export function ignore (): void {}
