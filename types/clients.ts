/** What the plugin offers to tests and to other programs. */
import type { InjectOptions, LightMyRequestCallback, LightMyRequestResponse } from 'fastify'
/** @ts-ignore -- an optional peer: without it there is no dispatcher to have a type */
import type { ProxyAgent } from 'undici'

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

/** How a program reaches the proxy. */
export interface ProxyAccess {
  /** Name or IP address of this server. Default: an address that it listens on. */
  hostname?: string
  /** Basic credentials for the proxy (RFC 7617). Default: none. */
  username?: string
  /** Default: empty. */
  password?: string
}

/** The name of an environment variable that `proxyEnv` sets. */
export type ProxyVariable =
  'HTTP_PROXY' | 'HTTPS_PROXY' | 'WS_PROXY' | 'WSS_PROXY' | 'ALL_PROXY' |
  'http_proxy' | 'https_proxy' | 'ws_proxy' | 'wss_proxy' | 'all_proxy' |
  'npm_config_proxy' | 'npm_config_https_proxy' |
  'NO_PROXY' | 'no_proxy' | 'npm_config_noproxy' |
  'NODE_USE_ENV_PROXY' |
  'NODE_EXTRA_CA_CERTS' | 'SSL_CERT_FILE' | 'REQUESTS_CA_BUNDLE' | 'CURL_CA_BUNDLE' | 'GIT_SSL_CAINFO' | 'PIP_CERT' |
  'AWS_CA_BUNDLE' | 'CARGO_HTTP_CAINFO' | 'DENO_CERT' | 'WEBSOCKET_CLIENT_CA_BUNDLE' | 'npm_config_cafile'

/** Environment variables that lead a program to the proxy and have it trust the CA. */
export type ProxyEnvironment = Record<ProxyVariable, string>

/** What the global `fetch` takes for its option `dispatcher`. */
type FetchDispatcher = RequestInit extends { dispatcher?: infer Dispatcher } ? NonNullable<Dispatcher> : unknown

/** Undici's `ProxyAgent`, for the functions of undici 7 and for the global `fetch`. */
export type ProxyDispatcher = ProxyAgent & FetchDispatcher
