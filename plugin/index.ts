/**
 * Exports the plugin, for `require` and for `import`: the plugin itself, and everything else as its properties. This is
 * the one list of what the package exports; every type of `types/` stands in it.
 */
import type * as types from '../types/index'
import '../types/fastify'
import { CertificateAuthority } from './ca/authority'
import { fastifyProxPlugin } from './plugin'
import { fixedResolver, proxyAuthResolver } from './routing/resolvers'
import { pass } from './tunnel/pass'

const fastifyProx = Object.assign(fastifyProxPlugin, {
  default: fastifyProxPlugin,
  fastifyProx: fastifyProxPlugin,
  CertificateAuthority,
  fixedResolver,
  pass,
  proxyAuthResolver
})

// Tells Node the names that `import { … }` may ask for: it reads them off such assignments, and the values from
// `module.exports` (https://nodejs.org/api/esm.html#commonjs-namespaces).
exports.fastifyProx = exports.CertificateAuthority = exports.fixedResolver = exports.pass = undefined
exports.proxyAuthResolver = undefined

declare namespace fastifyProx {
  export type AllowAddresses = types.AllowAddresses
  export type AuthorityCertificate = types.AuthorityCertificate
  export type CertificateAuthority = types.CertificateAuthority
  export type CertificateAuthorityChanged = types.CertificateAuthorityChanged
  export type CertificateAuthorityExpiring = types.CertificateAuthorityExpiring
  export type CertificateAuthorityKeyPair = types.CertificateAuthorityKeyPair
  export type CertificateAuthorityOptions = types.CertificateAuthorityOptions
  export type CertificateAuthorityWarning = types.CertificateAuthorityWarning
  export type CertificateMinted = types.CertificateMinted
  export type CertificateReused = types.CertificateReused
  export type CertificateStore = types.CertificateStore
  export type ConnectContext = types.ConnectContext
  export type DialTarget = types.DialTarget
  export type FastifyProxErrorCode = types.FastifyProxErrorCode
  export type FastifyProxOptions = types.FastifyProxOptions
  export type HandshakeFailed = types.HandshakeFailed
  export type InjectProxy = types.InjectProxy
  export type InjectProxyOptions = types.InjectProxyOptions
  export type InjectProxyWS = types.InjectProxyWS
  export type InjectProxyWSContext = types.InjectProxyWSContext
  export type InjectProxyWSOptions = types.InjectProxyWSOptions
  export type IssuedCertificate = types.IssuedCertificate
  export type KeyType = types.KeyType
  export type Leaf = types.Leaf
  export type Lookup = types.Lookup
  export type OnConnect = types.OnConnect
  export type Pass = types.Pass
  export type PassOptions = types.PassOptions
  export type ProxyAccess = types.ProxyAccess
  export type ProxyApp = types.ProxyApp
  export type ProxyAuthResolverOptions = types.ProxyAuthResolverOptions
  export type ProxyCredentials = types.ProxyCredentials
  export type ProxyDispatcher = types.ProxyDispatcher
  export type ProxyEnvironment = types.ProxyEnvironment
  export type ProxyEnvironmentOptions = types.ProxyEnvironmentOptions
  export type ProxyFetch = types.ProxyFetch
  export type ProxyLimits = types.ProxyLimits
  export type ProxyProtocolOptions = types.ProxyProtocolOptions
  export type ProxyRequest = types.ProxyRequest
  export type ProxyResolver = types.ProxyResolver
  export type ProxyTimeouts = types.ProxyTimeouts
  export type ProxyTunnel = types.ProxyTunnel
  export type ProxyVariable = types.ProxyVariable
  export type RawRequest = types.RawRequest
  export type ResolverContext = types.ResolverContext
  export type RotationStep = types.RotationStep
  export type StoredBundle = types.StoredBundle
  export type TunnelCloseCode = types.TunnelCloseCode
  export type TunnelClosed = types.TunnelClosed
  export type TunnelEvent = types.TunnelEvent
  export type TunnelIntercepted = types.TunnelIntercepted
  export type TunnelOpened = types.TunnelOpened
  export type TunnelRefused = types.TunnelRefused
  export type UpstreamProxy<Target = types.DialTarget> = types.UpstreamProxy<Target>
}

export = fastifyProx
