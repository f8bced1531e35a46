/** Options of `fastify-prox/har`, and what it reads and writes of HAR 1.2 (softwareishard.com/blog/har-12-spec). */

/**
 * `'record'`: what is forwarded is recorded, in place of what the file had. `'replay'`: the file answers, and the
 * network is never asked. `'update'`: the file answers what it can; the rest is forwarded, and added. `'off'`: nothing.
 */
export type HarMode = 'record' | 'replay' | 'update' | 'off'

export interface HarReplayOptions {
  /** Decides in place of the built-in matching, or leaves it to that. */
  match?: HarMatch
  /**
   * Names of what is a secret: header fields, parameters of queries and forms, members of JSON. It is written as
   * `redacted`, and compared as that. `false`: nothing is. Default: credentials, by their usual names.
   */
  redact?: readonly string[] | false
}

export interface HarOptions extends HarReplayOptions {
  /** The path of the HAR file. */
  file: string
  /** Default `'replay'`. */
  mode?: HarMode
  /** Bytes: larger bodies become files beside the HAR file. Default 1 MiB. */
  inlineLimit?: number
}

/**
 * Whether an entry answers a request; `undefined` leaves it to the built-in matching. Entries that answer the same
 * request are taken in their order, and the last one again and again.
 */
export type HarMatch = (entry: HarEntry, request: HarMatchRequest) => boolean | undefined

/** A request that is to be answered from a file, with secrets redacted. */
export interface HarMatchRequest {
  readonly method: string
  readonly url: string
  /** By lower-case name; repeated fields are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly webSocket: boolean
}

/** What was not found: an entry that came near, and what differs in it. */
export interface HarNearest {
  readonly method: string
  readonly url: string
  /** `'query: page: "1", not "2"'`, say: what is recorded, and what was asked for. */
  readonly differences: readonly string[]
}

export interface HarPair {
  name: string
  value: string
}

export interface HarCookie extends HarPair {
  path?: string
  domain?: string
  /** ISO 8601. */
  expires?: string
  httpOnly?: boolean
  secure?: boolean
  sameSite?: string
}

export interface HarPostData {
  mimeType: string
  text?: string
  params?: Array<{ name: string, value?: string }>
  /** `'base64'`, of `text`: for content that is no UTF-8. */
  encoding?: string
  /** A file with the content, relative to the HAR file. */
  _file?: string
}

export interface HarRequest {
  method: string
  url: string
  httpVersion: string
  cookies: HarCookie[]
  headers: HarPair[]
  queryString: HarPair[]
  postData?: HarPostData
  headersSize: number
  bodySize: number
}

export interface HarContent {
  /** Bytes, decoded. */
  size: number
  /** Bytes that the content coding saved. */
  compression?: number
  mimeType: string
  /** Decoded of its content coding. */
  text?: string
  encoding?: string
  comment?: string
  /** A file with the content, relative to the HAR file. */
  _file?: string
  /** Whether the content is still in its content coding, which could not be decoded. */
  _encoded?: boolean
}

export interface HarResponse {
  /** 0: there was none. */
  status: number
  statusText: string
  httpVersion: string
  cookies: HarCookie[]
  headers: HarPair[]
  content: HarContent
  redirectURL: string
  headersSize: number
  bodySize: number
  /** Why the exchange was cut short. */
  _error?: string
}

/** A message of a WebSocket, as Chrome DevTools writes it. */
export interface HarWebSocketMessage {
  type: 'send' | 'receive'
  /** Seconds since the epoch. */
  time: number
  /** 1: text; 2: binary, in base64. */
  opcode: number
  data: string
}

/** In milliseconds; -1: does not apply. `ssl` is a part of `connect`. */
export interface HarTimings {
  blocked?: number
  dns?: number
  connect?: number
  ssl?: number
  send: number
  wait: number
  receive: number
}

export interface HarEntry {
  /** ISO 8601. */
  startedDateTime: string
  /** Milliseconds. */
  time: number
  request: HarRequest
  response: HarResponse
  cache: object
  timings: HarTimings
  serverIPAddress?: string
  comment?: string
  _resourceType?: string
  _webSocketMessages?: HarWebSocketMessage[]
  _securityDetails?: { protocol: string, cipher: string | null }
}
