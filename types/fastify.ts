/** What the plugin adds to Fastify's own types. */
import type { CertificateAuthority } from './ca'
import type { ProxyResolver } from './options'
import type { InjectProxy, ProxyAccess, ProxyDispatcher, ProxyEnvironment } from './clients'
import type { ProxyRequest } from './request'

declare module 'fastify' {
  interface FastifyInstance {
    /** The resolver in use. */
    proxyResolver: ProxyResolver
    /** The certificate authority in use. */
    proxyCA: CertificateAuthority
    /**
     * Answers a proxied request without a socket, as `inject` answers one that is not proxied: with the same hooks,
     * resolver, proxy hosts and `request.proxy`. An `http:` URL is asked for in absolute-form, an `https:` URL as in a
     * tunnel of its own, for which there was no CONNECT: neither its hooks nor `onConnect` run, but a resolver that
     * wants credentials (in a `proxy-authorization` header) answers 407.
     * @throws FST_PROX_INVALID_OPTION when the URL is not one
     */
    injectProxy: InjectProxy
    /**
     * The environment that leads a program to this proxy and has it trust the CA:
     * `spawn(program, { env: { ...process.env, ...fastify.proxyEnv() } })`. No host is excepted, localhost neither. The
     * certificate (and never the key) is in a temporary file until the server closes.
     * @throws FST_PROX_NOT_LISTENING before the server listens, FST_PROX_UNIX_SOCKET when it has no port
     */
    proxyEnv (access?: ProxyAccess): ProxyEnvironment
    /**
     * A dispatcher that sends what `fetch` and undici's functions ask for through this proxy:
     * `fetch(url, { dispatcher: fastify.proxyDispatcher() })`. Needs undici 7, an optional peer dependency.
     * @throws FST_PROX_NO_UNDICI, and what `proxyEnv` throws
     */
    proxyDispatcher (access?: ProxyAccess): ProxyDispatcher
  }

  interface FastifyContextConfig {
    /**
     * What a route of fastify-prox itself is for, so that `onRoute` hooks can tell it from those of the application.
     */
    fastifyProx?: 'connect' | 'failure' | 'download'
  }

  interface FastifyRequest {
    /** What is known of a proxied request; `null` for a request that was not proxied. */
    readonly proxy: ProxyRequest | null
  }
}
