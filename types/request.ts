/** What `request.proxy` holds. */

/** One CONNECT tunnel, as requests inside it see it. */
export interface ProxyTunnel {
  /** The id of the CONNECT request; the log lines of the tunnel carry it. */
  readonly id: string
  /** `host:port` as the client asked for it, normalised (RFC 9110 9.3.6). */
  readonly authority: string
  /** The TLS server name that the client sent (RFC 6066 3), or `null`: none, or a plain tunnel. */
  readonly servername: string | null
  /** What ALPN chose (RFC 7301): `'h2'`, `'http/1.1'`, or `null`. */
  readonly alpn: string | null
  /** The version of TLS inside the tunnel, `'TLSv1.3'` say; `null` in a plain tunnel. */
  readonly tlsVersion: string | null
  /** The client's address; `undefined` on a unix socket. */
  readonly remoteAddress: string | undefined
}

/** What is known of a proxied request. */
export interface ProxyRequest {
  /** The full URL that the client asked for, `http:` or `https:`, without a fragment. */
  readonly url: string
  /** The proxy host that answers: the one that matched, else that of the option `proxyHost`. */
  readonly proxyHost: string
  /** Of the URL; a WebSocket's, too, is that of its HTTP request. */
  readonly scheme: 'http' | 'https'
  /** Host of the URL, with the port when it is not the default of the scheme. */
  readonly host: string
  /** Host of the URL, without port; an IPv6 address in brackets. */
  readonly hostname: string
  readonly port: number
  /** User name of Basic proxy credentials, or `null`. */
  readonly username: string | null
  /** The tunnel that the request came through; `null` for absolute-form. */
  readonly tunnel: ProxyTunnel | null
}
