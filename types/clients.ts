/** The types of the client helpers: what the plugin offers to tests and to other programs. */
import type { InjectOptions, LightMyRequestCallback, LightMyRequestResponse } from 'fastify'
/** @ts-ignore -- an optional peer: without it there is no dispatcher to have a type */
import type { fetch, ProxyAgent } from 'undici'
/** @ts-ignore -- its types are a package of their own, which not everybody has */
import type { WebSocket } from 'ws'

/** What `fastify.inject` takes, for a proxied request. */
export interface InjectProxyOptions
  extends Omit<InjectOptions, 'url' | 'path' | 'authority' | 'server' | 'Request' | 'autoStart'> {
  /** Absolute, `http:` or `https:`, as the client would have it. */
  url: string | URL
}

/** A proxied request without a socket. */
export interface InjectProxy {
  (options: InjectProxyOptions | string | URL): Promise<LightMyRequestResponse>
  (options: InjectProxyOptions | string | URL, callback: LightMyRequestCallback): void
}

/** What the request for an injected WebSocket has beside its URL. */
export interface InjectProxyWSContext {
  /** Header fields, by their names in lower case. */
  headers?: Record<string, string>
  /** Default `'127.0.0.1'`. */
  remoteAddress?: string
}

/** Called with the client's side of an injected WebSocket. */
export interface InjectProxyWSOptions {
  /** Before anything has been sent: for listeners that must not miss the first message. */
  onInit?: (socket: WebSocket) => void
  /** When the WebSocket is open. */
  onOpen?: (socket: WebSocket) => void
}

/** A proxied WebSocket without a socket. */
export interface InjectProxyWS {
  (url: string | URL, upgradeContext?: InjectProxyWSContext, options?: InjectProxyWSOptions): Promise<WebSocket>
}

/** How a client reaches the proxy. */
export interface ProxyAccess {
  /** Name or IP address of this server. Default: an address that it listens on. */
  hostname?: string
  /** Basic credentials for the proxy (RFC 7617). Default: none. */
  username?: string
  /** Default: empty. */
  password?: string
}

export interface ProxyEnvironmentOptions extends ProxyAccess {
  /**
   * Hosts that are not for the proxy, as `NO_PROXY` has them: `['localhost', '.internal.example']`. Default: none, not
   * even localhost.
   */
  noProxy?: string[]
  /**
   * What programs trust whose variable replaces their own roots: the CA and the roots of this system (`'system'`, the
   * default), or the CA alone (`'only'`), with which nothing but the proxy can be reached by TLS.
   */
  caBundle?: 'system' | 'only'
}

/** The name of an environment variable that `proxyEnv` sets. */
export type ProxyVariable =
  'HTTP_PROXY' | 'HTTPS_PROXY' | 'WS_PROXY' | 'WSS_PROXY' | 'ALL_PROXY' |
  'http_proxy' | 'https_proxy' | 'ws_proxy' | 'wss_proxy' | 'all_proxy' |
  'npm_config_proxy' | 'npm_config_https_proxy' | 'YARN_HTTP_PROXY' | 'YARN_HTTPS_PROXY' |
  'NO_PROXY' | 'no_proxy' | 'npm_config_noproxy' |
  'NODE_USE_ENV_PROXY' | 'NODE_OPTIONS' |
  'NODE_EXTRA_CA_CERTS' | 'SSL_CERT_FILE' | 'REQUESTS_CA_BUNDLE' | 'CURL_CA_BUNDLE' | 'GIT_SSL_CAINFO' | 'PIP_CERT' |
  'AWS_CA_BUNDLE' | 'CARGO_HTTP_CAINFO' | 'DENO_CERT' | 'WEBSOCKET_CLIENT_CA_BUNDLE' |
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH' | 'npm_config_cafile' | 'YARN_HTTPS_CA_FILE_PATH'

/** Environment variables that lead a program to the proxy and have it trust the CA. */
export type ProxyEnvironment = Record<ProxyVariable, string>

/** What the global `fetch` takes for its option `dispatcher`. */
type FetchDispatcher = RequestInit extends { dispatcher?: infer Dispatcher } ? NonNullable<Dispatcher> : unknown

/** Undici's `ProxyAgent`, for the functions of undici and for the global `fetch`. */
export type ProxyDispatcher = ProxyAgent & FetchDispatcher

/** The `fetch` of undici. */
export type ProxyFetch = typeof fetch
