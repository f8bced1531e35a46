/** What HTTP/1.1 and HTTP/2 share: a request that goes to an upstream host, and the response that comes. */
import type { Readable } from 'node:stream'
import type { ExchangeConnection, ExchangeRequest, ExchangeResponse } from '../types/forward'
import { FST_PROX_UPSTREAM_FAILED } from '../plugin/errors'

export interface Call {
  readonly method: string
  /** Fields that go on, `Via` among them; `Host` and framing are added where they are needed. */
  readonly fields: readonly string[]
  /** `null`: no content. */
  readonly body: Readable | null
  /** The trailers of the body, once it has ended. */
  readonly trailers: () => readonly string[]
  /** Whether the client takes trailers (RFC 9110 10.1.4). */
  readonly acceptsTrailers: boolean
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly observer: Observer
  /** Told of each 103 and its like (RFC 9110 15.2). */
  readonly informational: (response: ExchangeResponse) => void
}

/** Told of what happens on the way. */
export interface Observer {
  /** The request is about to be written. */
  begun (request: Omit<ExchangeRequest, 'url' | 'path'>, connection: ExchangeConnection): void
  /** All of the request is written. */
  sent (): void
}

export interface UpstreamResponse extends ExchangeResponse {
  /** Ends when the response is whole, and fails when it was cut short. */
  readonly body: Readable
  /** Whether the head is all there is. */
  readonly bodiless: boolean
  /**
   * Complete when `body` has ended. A function, and no getter: V8 makes a map for each object literal that has one, and
   * keeps it, with all that the getter refers to, until it collects the old space.
   */
  readonly rawTrailers: () => readonly string[]
}

export interface Upstream {
  readonly response: Promise<UpstreamResponse>
  /** Gives up on the request, with its connection if need be. */
  abort (): void
}

/** What happened to a request, as an error of ours: those of the connector are that already. */
export function upstreamError (authority: string, err: NodeJS.ErrnoException): Error {
  if (err.code?.startsWith('FST_')) return err
  const reason = err.code === undefined || err.message.includes(err.code) ? err.message : `${err.code}, ${err.message}`
  return Object.assign(new FST_PROX_UPSTREAM_FAILED(authority, reason), { cause: err })
}

/** Whether a response never has content (RFC 9112 6.3). */
export function hasNoContent (method: string, statusCode: number): boolean {
  return method === 'HEAD' || statusCode === 204 || statusCode === 304
}
