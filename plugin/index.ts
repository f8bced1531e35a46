/** Exports the plugin for `require`: the plugin itself, and everything else as its properties. */
import type * as types from '../types/options'
import type * as caTypes from '../types/ca'
import type * as programTypes from '../types/clients'
import type * as requestTypes from '../types/request'
import '../types/fastify'
import { CertificateAuthority } from './ca/authority'
import { fastifyProxPlugin as wrapped } from './plugin'
import { fixedResolver, proxyAuthResolver } from './routing/resolvers'

const fastifyProx: typeof wrapped & {
  readonly default: typeof wrapped
  readonly fastifyProx: typeof wrapped
  readonly CertificateAuthority: typeof CertificateAuthority
  readonly fixedResolver: typeof fixedResolver
  readonly proxyAuthResolver: typeof proxyAuthResolver
} = Object.assign(wrapped, { default: wrapped, fastifyProx: wrapped, CertificateAuthority, fixedResolver, proxyAuthResolver })

declare namespace fastifyProx {
  export type CertificateAuthority = caTypes.CertificateAuthority
  export type FastifyProxOptions = types.FastifyProxOptions
  export type ProxyApp = types.ProxyApp
  export type ProxyResolver = types.ProxyResolver
  export type ResolverContext = types.ResolverContext
  export type ConnectContext = types.ConnectContext
  export type OnConnect = types.OnConnect
  export type ProxyCredentials = types.ProxyCredentials
  export type ProxyAuthResolverOptions = types.ProxyAuthResolverOptions
  export type ProxyTimeouts = types.ProxyTimeouts
  export type ProxyLimits = types.ProxyLimits
  export type RawRequest = types.RawRequest
  export type ProxyRequest = requestTypes.ProxyRequest
  export type ProxyTunnel = requestTypes.ProxyTunnel
  export type InjectProxyOptions = programTypes.InjectProxyOptions
  export type ProxyAccess = programTypes.ProxyAccess
  export type ProxyEnvironment = programTypes.ProxyEnvironment
  export type ProxyDispatcher = programTypes.ProxyDispatcher
  export type CertificateAuthorityOptions = caTypes.CertificateAuthorityOptions
  export type CertificateStore = caTypes.CertificateStore
  export type CertificateMinted = caTypes.CertificateMinted
  export type CertificateAuthorityExpiring = caTypes.CertificateAuthorityExpiring
  export type CertificateAuthorityWarning = caTypes.CertificateAuthorityWarning
  export type IssuedCertificate = caTypes.IssuedCertificate
  export type Leaf = caTypes.Leaf
}

export = fastifyProx
