/** What the plugin offers to tests and to other programs. */
import type { InjectOptions, LightMyRequestCallback, LightMyRequestResponse } from 'fastify'
/** @ts-ignore -- an optional peer: without it there is no dispatcher to have a type */
import type { ProxyAgent } from 'undici'
import type { ProgramVariable } from '../plugin/clients/environment'

/** What `fastify.inject` takes, for a proxied request. */
export interface InjectProxyOptions extends Omit<InjectOptions, 'url' | 'path' | 'authority' | 'server' | 'Request' | 'autoStart'> {
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

/** Environment variables that lead a program to the proxy and have it trust the CA. */
export type ProxyEnvironment = Record<ProgramVariable, string>

/** What the global `fetch` takes for its option `dispatcher`. */
type FetchDispatcher = RequestInit extends { dispatcher?: infer Dispatcher } ? NonNullable<Dispatcher> : unknown

/** Undici's `ProxyAgent`, for the functions of undici 7 and for the global `fetch`. */
export type ProxyDispatcher = ProxyAgent & FetchDispatcher
