/** The options of the plugin and what its resolvers see. */
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { SecureContextOptions } from 'node:tls'
import type { FastifyInstance, FastifyPluginOptions } from 'fastify'
import type { CertificateAuthority, CertificateAuthorityOptions } from './ca'
import type { AllowAddresses, Lookup, UpstreamProxy } from './net'
import type { ProxyTunnel } from './request'

/** A request of Node's: `http.IncomingMessage`, or its HTTP/2 counterpart. */
export type RawRequest = IncomingMessage | Http2ServerRequest

/** Basic credentials of a `Proxy-Authorization` field (RFC 7617). */
export interface ProxyCredentials {
  readonly username: string
  readonly password: string
}

/** What a resolver knows besides the URL. */
export interface ResolverContext {
  readonly raw: RawRequest
  /** The client's address; `undefined` on a unix socket. */
  readonly remoteAddress: string | undefined
  readonly credentials: ProxyCredentials | null
  /** The tunnel that the request came through, or `null`. */
  readonly tunnel: ProxyTunnel | null
}

/** Maps the full URL that the client asked for to a URL of the application, which begins with `/`. */
export interface ProxyResolver {
  (url: string, context: ResolverContext): string | Promise<string>
  /**
   * Asked before a tunnel opens and before an absolute-form request is resolved: a realm, to answer with
   * 407 and `Proxy-Authenticate: Basic realm="…"` (RFC 9110 11.7.1), or null or undefined, to let the request pass;
   * anything else is answered with 500 (FST_PROX_BAD_REALM). Asked a second time, with other `credentials`, when it
   * wants others than those that the client sent and these can be read as UTF-8 and as Latin-1.
   */
  requireAuth?(context: ResolverContext): string | null | undefined | Promise<string | null | undefined>
}

export interface ProxyAuthResolverOptions {
  /** The realm that is asked for. Default `'Please enter prefix path'`. */
  realm?: string
  /**
   * Accepts credentials with `true`. Asked for both readings of credentials that are not ASCII, as UTF-8 and as
   * Latin-1, which some clients send. Default: any user name that is not empty.
   */
  validate?: (username: string, password: string) => boolean | Promise<boolean>
}

/** What an `onConnect` policy is asked about: a host that a tunnel is to speak for. */
export interface ConnectContext extends ResolverContext {
  /** `hostname:port` */
  readonly authority: string
  /** In the form of URLs: lower case, an IPv6 address in brackets. */
  readonly hostname: string
  readonly port: number
  /** The TLS server name (RFC 6066 3) that the client sent in the tunnel; `null`: none, or not yet. */
  readonly servername: string | null
  /** `null` while it is the CONNECT that is asked about; later on the tunnel that it opened. */
  readonly tunnel: ProxyTunnel | null
}

/** How a tunnel is passed through. */
export interface PassOptions {
  /** Which addresses may be connected to. Default `'public'`. */
  allow?: AllowAddresses
  /** An upstream proxy: one, one by target, or `'env'`: `HTTPS_PROXY` and `NO_PROXY`. Default: none. */
  via?: UpstreamProxy
  /** Milliseconds for the name, the connection and the upstream proxy together; 0: no limit. Default 10,000. */
  timeout?: number
  /** In place of `dns.lookup`; called with `all: true`. */
  lookup?: Lookup
}

/** What `pass()` returns. */
export interface Pass extends Readonly<Required<Omit<PassOptions, 'lookup'>>> {
  readonly lookup: Lookup | undefined
}

/**
 * Refuses a tunnel by answering with a status code from 400 to 599; lets it open by answering nothing; has it passed
 * through unread by answering `pass()`. Anything else is answered with 500 (FST_PROX_BAD_DECISION). It is asked once
 * for every host that the tunnel comes to speak for: that of the CONNECT, a TLS server name that differs from it, and
 * each further host that a request in the tunnel names.
 */
export type OnConnect = (context: ConnectContext) => ConnectDecision | Promise<ConnectDecision>

/** A status code from 400 to 599 refuses; nothing allows; `pass()` relays. */
type ConnectDecision = number | Pass | null | undefined | void

/** Limits in time, in milliseconds; 0 turns one off. */
export interface ProxyTimeouts {
  /** From the answer to a CONNECT to the client's first byte. Default 10,000. */
  firstByte?: number
  /** The TLS handshake inside a tunnel. Default 10,000. */
  handshake?: number
  /** Silence between requests of a tunnel. Default: the server's `keepAliveTimeout`. */
  idle?: number
  /** Silence of a tunnel that is passed through. Default 600,000. */
  passIdle?: number
  /** How long `fastify.close()` waits for what is running in tunnels. Default 5,000. */
  close?: number
}

/** Balancers in front of this server that tell whose connection they hand on, by the PROXY protocol, version 1 or 2. */
export interface ProxyProtocolOptions {
  /**
   * Who sends the header: addresses and networks, `['10.0.0.0/8', 'fd00::/8']`, and `'unix'` for a server on a unix
   * socket. Every connection from there has to begin with it; from elsewhere it is a bad request.
   */
  trusted: readonly string[]
  /** Milliseconds for the header; 0: no limit. Default 5,000. */
  timeout?: number
}

/** Limits in number; `Infinity` turns one off. */
export interface ProxyLimits {
  /** Open tunnels. Default 10,000. */
  tunnels?: number
  /** Open tunnels of one client address. Default 1,000. */
  tunnelsPerClient?: number
}

/** A plugin of Fastify's, async or with a callback. */
type Plugin =
  (instance: FastifyInstance, options: FastifyPluginOptions, done: (err?: Error) => void) => void | Promise<void>

/**
 * What answers one proxy host: a plugin, a module that exports one as the default, or a promise of either (`import()`),
 * as `fastify.register` takes them; `null` for a further name of the application itself.
 */
export type ProxyApp = Plugin | { default: Plugin } | Promise<Plugin | { default: Plugin }> | null

export interface FastifyProxOptions {
  /** A fixed prefix, or a function. Default `'/'`. */
  resolver?: string | ProxyResolver
  /** A name of the application itself: requests to it reach its routes unprefixed. Default `'fastify-prox'`. */
  proxyHost?: string
  /** Where the CA certificate can be downloaded; `false`: nowhere. Default: `proxyHost`. */
  downloadHost?: string | false
  /** One plugin per host, each in a context of its own. `'*.example.net'` takes one left-most label or more. */
  proxyApps?: Record<string, ProxyApp>
  /** The certificate authority: its options, or one of your own making. */
  ca?: CertificateAuthorityOptions | CertificateAuthority
  /** Upgrades to WebSocket, when `@fastify/websocket` is registered. Default `true`. */
  websockets?: boolean
  /** Offers HTTP/2 inside tunnels (ALPN `h2`, and prior knowledge). Default `true`. */
  http2?: boolean
  /** What `tls.createSecureContext` takes inside tunnels: `minVersion`, `ciphers` (Node's, with AES-128 first), … */
  tls?: SecureContextOptions
  /** File that TLS secrets of tunnels are appended to, in the format of `SSLKEYLOGFILE`. Default: none. */
  keyLogFile?: string
  /** A policy for CONNECT. */
  onConnect?: OnConnect
  /** Takes the client's address from balancers in front of this server. Default: nobody sends a header. */
  proxyProtocol?: ProxyProtocolOptions
  timeouts?: ProxyTimeouts
  limits?: ProxyLimits
  /** Above that many open tunnels, each is closed after its response. Default `Infinity`. */
  keepAliveMax?: number
}
