/** What the plugin adds to Fastify's own types. */
import type { CertificateAuthority } from './ca'
import type { ProxyCredentials, ProxyResolver } from './options'
import type {
  InjectProxy, InjectProxyWS, ProxyAccess, ProxyDispatcher, ProxyEnvironment, ProxyEnvironmentOptions, ProxyFetch
} from './clients'
import type { ProxyRequest } from './request'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The resolver in use: the option `resolver`, or what a fixed prefix became.
     * @example
     * await app.proxyResolver('https://example.com/a', context)   // '/prefix/https://example.com/a'
     */
    proxyResolver: ProxyResolver
    /**
     * The certificate authority in use. Its private key does not show.
     * @example
     * await writeFile('ca.pem', app.proxyCA.certificatePem)
     */
    proxyCA: CertificateAuthority
    /**
     * Answers a proxied request without a socket, as `inject` answers one that is not proxied: with the same hooks,
     * resolver, proxy hosts and `request.proxy`. An `http:` URL is asked for in absolute-form, an `https:` URL as in a
     * tunnel of its own, for which there was no CONNECT: neither its hooks nor `onConnect` run, but a resolver that
     * wants credentials (in a `proxy-authorization` header) answers 407.
     * @throws FST_PROX_INVALID_OPTION when there is no URL, or it is not absolute or not `http:` or `https:`
     * @example
     * const response = await app.injectProxy({ method: 'POST', url: 'https://api.example.com/v1', payload: { a: 1 } })
     */
    injectProxy: InjectProxy
    /**
     * Opens a proxied WebSocket without a socket, as `injectWS` of @fastify/websocket opens one that is not proxied.
     * The rest is as with `injectProxy`: `ws:` and `http:` URLs in absolute-form, `wss:` and `https:` URLs in a tunnel.
     * Resolves with the open client of the package ws, and rejects when the answer is not 101.
     * @throws FST_PROX_NO_WEBSOCKETS without @fastify/websocket or with `websockets: false`, FST_PROX_INVALID_OPTION
     * for the URL
     * @example
     * const socket = await app.injectProxyWS('wss://feed.example.com/prices', { headers: { cookie: 'a=b' } })
     */
    injectProxyWS: InjectProxyWS
    /**
     * The environment that leads a program to this proxy and has it trust the CA. No host is excepted, not even
     * localhost, but for those in `noProxy`. The certificate (and never the key) is in temporary files until the server
     * closes. `NODE_OPTIONS` keeps what it has in this process.
     * @throws FST_PROX_NOT_LISTENING before the server listens, FST_PROX_UNIX_SOCKET when it has no port,
     * FST_PROX_INVALID_OPTION
     * @example
     * spawn('python3', ['program.py'], { env: { ...process.env, ...app.proxyEnv({ noProxy: ['localhost'] }) } })
     */
    proxyEnv (options?: ProxyEnvironmentOptions): ProxyEnvironment
    /**
     * A dispatcher that sends what `fetch` and undici's functions ask for through this proxy, for the caller to close.
     * Needs undici 7 or 8, an optional peer dependency.
     * @throws FST_PROX_NO_UNDICI, and what `proxyEnv` throws
     * @example
     * setGlobalDispatcher(app.proxyDispatcher())
     */
    proxyDispatcher (access?: ProxyAccess): ProxyDispatcher
    /**
     * The `fetch` of undici, through this proxy. Its dispatcher closes with the application. Needs undici 7 or 8, an
     * optional peer dependency.
     * @throws (rejects with) what `proxyDispatcher` throws, and what `fetch` rejects with
     * @example
     * const response = await app.proxyFetch('https://api.example.com/v1', { method: 'POST', body: '{}' })
     */
    proxyFetch: ProxyFetch
  }

  interface FastifyContextConfig {
    /**
     * What a route of fastify-prox itself is for, so that `onRoute` hooks can tell it from those of the application.
     */
    fastifyProx?: 'connect' | 'failure' | 'download'
  }

  interface FastifyRequest {
    /**
     * What is known of a proxied request; `null` for a request that was not proxied.
     * @example
     * app.get('/prefix/*', async ({ proxy }) => proxy?.url ?? 'not proxied')
     */
    readonly proxy: ProxyRequest | null
    /**
     * The Basic credentials for the proxy that a CONNECT or an absolute-form request brought, as the client sent them:
     * nobody need have accepted them. `onRequest` hooks of the root see them, routes never; `null` for none, and in
     * tunnels. Of credentials that are not ASCII it is the likelier reading.
     * @example
     * app.addHook('onRequest', async ({ proxyCredentials, log }) => log.info({ claims: proxyCredentials?.username }))
     */
    readonly proxyCredentials: ProxyCredentials | null
  }
}
