/** Options of `fastify-prox/forward`, and what it hands out. */
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
import type { AllowAddresses, DialTarget, Lookup, UpstreamProxy } from './net'

/** A certificate or a key: PEM, or a buffer of it. */
export type Pem = string | Buffer

/** How one upstream host is spoken to by TLS. */
export interface ForwardHost {
  /** A certificate of ours for hosts that ask for one. */
  cert?: Pem
  key?: Pem
  passphrase?: string
  /** Certificate authorities for this host, beside those of the option `ca`. */
  ca?: Pem | Pem[]
  /** `false` talks to this host whatever its certificate. Default `true`. */
  rejectUnauthorized?: boolean
}

/** The limits are in milliseconds; 0 turns one off. What takes longer is answered with 504. */
export interface ForwardTimeouts {
  /** For the name, the connection and the TLS handshake together. Default 10,000. */
  connect?: number
  /** From the request, or its last part, to the head of the response. Default 60,000. */
  headers?: number
  /** Between two parts of a body. Default 300,000. */
  body?: number
}

/** What an upstream proxy is chosen by. */
export interface ForwardTarget extends DialTarget {
  readonly url: string
  readonly scheme: 'http' | 'https'
}

/** An upstream proxy: one, one by target, or `'env'`. */
export type ForwardVia = UpstreamProxy<ForwardTarget>

export interface ForwardPluginOptions {
  /** Which addresses may be connected to. Default `'public'`. */
  allow?: AllowAddresses
  /** An upstream proxy: one, one by target, or `'env'`: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. Default: none. */
  via?: ForwardVia
  /** Certificate authorities that are trusted beside the public ones. */
  ca?: Pem | Pem[]
  /** Settings of single hosts, by name or address: `'api.internal'`, or `'api.internal:8443'`. */
  hosts?: Record<string, ForwardHost>
  /** Speaks HTTP/2 to hosts that offer it. Default `true`. */
  http2?: boolean
  timeouts?: ForwardTimeouts
  /** This proxy in `Via` fields, by which it recognises loops. Default: `fastify-prox-` and something random. */
  pseudonym?: string
  /** In place of `dns.lookup`; called with `all: true`. */
  lookup?: Lookup
}

/** Fields to set, by name in any case; `null` removes one, a list repeats it. */
export type ForwardHeaders = Record<string, string | number | readonly string[] | null | undefined>

/** The response of the upstream host, before it goes to the client. What is changed is what the client gets. */
export interface ForwardResponse {
  statusCode: number
  /** By lower-case name; repeated fields as lists. Those of the connection are not among them. */
  headers: Record<string, string | string[]>
  /** The content, as it is encoded unless it was to be decoded. Something else in its place drops length and `ETag`. */
  body: Readable | AsyncIterable<Uint8Array | string> | Buffer | string | null
  /** Whether `body` is plain, since it was never encoded or `decode` has decoded it. */
  readonly decoded: boolean
  readonly httpVersion: string
}

export interface ForwardOptions {
  /** In place of `request.proxy.url`. */
  url?: string | URL
  headers?: ForwardHeaders
  /** Sees the response before it is sent, and may change it. What it throws goes to the error handler. */
  onResponse?: (response: ForwardResponse, request: FastifyRequest, reply: FastifyReply) => void | Promise<void>
  /** Decodes gzip, deflate, br and (Node 22.15 on) zstd, up to `limit` bytes of plain content. Default limit 64 MiB. */
  decode?: boolean | { limit: number }
}

/** What a WebSocket is dialled with. */
export type ForwardSocketOptions = Pick<ForwardOptions, 'url' | 'headers'>

/** A route's `config.forward`: whether it forwards, or what its WebSockets are dialled with. */
export type ForwardConfig =
  | boolean
  | ForwardSocketOptions
  | ((request: FastifyRequest) => ForwardSocketOptions | Promise<ForwardSocketOptions>)

/** A request line, or a status line, and the fields behind it, as they are on the connection to the upstream host. */
export interface ExchangeRequest {
  readonly method: string
  readonly url: string
  /** Path and query, byte for byte. */
  readonly path: string
  readonly httpVersion: string
  /** Names and values by turns, in order. */
  readonly rawHeaders: readonly string[]
}

export interface ExchangeResponse {
  readonly httpVersion: string
  readonly statusCode: number
  /** Empty over HTTP/2. */
  readonly statusMessage: string
  readonly rawHeaders: readonly string[]
}

/** The connection of an exchange. */
export interface ExchangeConnection {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  /** `'TLSv1.3'`, say; `null` without TLS. */
  readonly tlsVersion: string | null
  readonly cipher: string | null
  readonly alpn: string | null
  /** The upstream proxy, without its password. */
  readonly via: string | null
  /** Whether the connection had served before; the times below are 0 then. */
  readonly reused: boolean
  /** Milliseconds of look-up, of connecting, of the TLS handshake. */
  readonly timings: { readonly resolve: number, readonly connect: number, readonly secure: number }
}

/** How an exchange ended. Times are in milliseconds from its start; `null`: it did not come so far. */
export interface ExchangeEnd {
  /** Why the exchange was cut short; `null`: it was not. */
  readonly error: Error | null
  readonly timings: {
    readonly connected: number | null
    readonly requestSent: number | null
    readonly responseHead: number | null
    readonly end: number
  }
}

/** One request of ours to an upstream host and its response, as they are on the wire, less transfer coding. */
export interface Exchange {
  /** The id of Fastify's request. */
  readonly id: string
  readonly request: FastifyRequest
  readonly url: string
  readonly method: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly webSocket: boolean
}

/**
 * Who records an exchange. Every function may be left out; those for bytes may return a promise, which holds the
 * stream back until it is fulfilled. What one throws is logged, and ends the recording, not the exchange.
 */
export interface ExchangeSink {
  /** The fields that are sent in place of these, which are those less the ones of the connection. */
  requestHeaders? (rawHeaders: readonly string[]): readonly string[]
  request? (request: ExchangeRequest, connection: ExchangeConnection): void
  requestData? (chunk: Buffer): void | Promise<void>
  requestTrailers? (rawTrailers: readonly string[]): void
  /** 103 and its like. */
  informational? (response: ExchangeResponse): void
  response? (response: ExchangeResponse): void
  responseData? (chunk: Buffer): void | Promise<void>
  responseTrailers? (rawTrailers: readonly string[]): void
  /** A message of a WebSocket. */
  message? (from: 'client' | 'server', data: Buffer, binary: boolean): void | Promise<void>
  /** Once, and last. */
  end? (end: ExchangeEnd): void
}

/** Called when a request is about to be forwarded; returns who records it, or nothing. */
export type ExchangeListener = (exchange: Exchange) => ExchangeSink | undefined | void

/** A request that is about to be forwarded, for those who answer in place of its host. */
export interface ExchangeCall {
  readonly request: FastifyRequest
  readonly url: string
  readonly method: string
  readonly webSocket: boolean
  /** The fields that would be sent, less those of the connection: names and values by turns. */
  readonly rawHeaders: readonly string[]
  /**
   * The whole content, empty if there is none. What has been read is forwarded all the same if nobody answers.
   * @param limit of bytes; fails with FST_PROX_CONTENT_TOO_LARGE above
   */
  readBody (limit: number): Promise<Buffer>
}

/** The response in place of a host's. Fields of the connection are left out. */
export interface ExchangeAnswer {
  readonly statusCode: number
  readonly statusMessage?: string
  readonly rawHeaders: readonly string[]
  readonly body?: Readable | Buffer
}

/** A WebSocket in place of a host's: the client is accepted, and handed over. */
export interface ExchangeSocketAnswer {
  /** The subprotocol; `''`: none. */
  readonly protocol: string
  readonly socket: (client: WebSocket) => void
}

/**
 * Answers in place of upstream hosts; `null` or nothing: the next one is asked, and then the host. What it throws goes
 * to the error handler, and nothing is sent to the host.
 */
export type ExchangeAnswerer = (call: ExchangeCall) =>
  | ExchangeAnswer | ExchangeSocketAnswer | null | undefined
  | Promise<ExchangeAnswer | ExchangeSocketAnswer | null | undefined>

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Has every exchange with an upstream host handed out to a listener, from now on: for those who record.
     * @example fastify.onExchange(({ url }) => ({ end: ({ timings }) => console.log(url, timings.end) }))
     */
    onExchange (listener: ExchangeListener): void

    /**
     * Has a function asked before every upstream host, from now on: for those who replay. What it answers goes through
     * the route's `onResponse` as the host's response would, and is not handed out to `onExchange`.
     * @example
     * fastify.answerExchange(({ url }) => url === 'http://a.test/' ? { statusCode: 204, rawHeaders: [] } : null)
     */
    answerExchange (answerer: ExchangeAnswerer): void
  }
}
