/** The client helpers: decorators for tests and other programs whose requests are to come to the proxy. */
import type { FastifyInstance } from 'fastify'
import type { CertificateAuthority } from '../../types/ca'
import type { ProxyAccess, ProxyDispatcher, ProxyEnvironmentOptions, ProxyFetch } from '../../types/clients'
import { checkOptions, STRING } from '../option-rules'
import type { Rules } from '../option-rules'
import type { ProxyRouter } from '../routing/proxy-router'
import { reachableAddress } from './address'
import { CertificateFiles } from './certificate-files'
import { loadUndici, makeDispatcher } from './dispatcher'
import { injector } from './inject-proxy'
import { webSocketInjector } from './inject-proxy-ws'
import { injectedRouter } from './injected-request'
import { proxyEnvironment } from './proxy-environment'

const TEXT = { takes: 'a string', accepts: (value: unknown) => typeof value === 'string' }
const ACCESS: Rules = { hostname: STRING, username: TEXT, password: TEXT }
const ENVIRONMENT: Rules = {
  ...ACCESS,
  noProxy: { takes: "an array of hosts: ['localhost', '.internal.example']", accepts: isHosts },
  caBundle: { takes: "'system' or 'only'", accepts: (value) => value === 'system' || value === 'only' }
}

function isHosts (value: unknown): boolean {
  const isHost = (host: unknown): boolean => typeof host === 'string' && /^[^\s,]+$/.test(host)
  return Array.isArray(value) && value.every(isHost)
}

/**
 * Adds `injectProxy`, `injectProxyWS`, `proxyEnv`, `proxyDispatcher` and `proxyFetch` to the instance.
 * @param websockets the option of the plugin
 */
export function addClientHelpers (
  fastify: FastifyInstance, router: ProxyRouter, ca: CertificateAuthority, websockets: boolean
): void {
  const route = injectedRouter(fastify, router)
  fastify.decorate('injectProxy', injector(fastify, route))
  fastify.decorate('injectProxyWS', webSocketInjector(fastify, route, websockets))

  const files = new CertificateFiles(() => ca.trustedPem)
  fastify.addHook('onClose', async () => files.remove())
  fastify.decorate('proxyEnv', (options: ProxyEnvironmentOptions = {}) => {
    checkOptions(options, ENVIRONMENT)
    const { username, password = '', noProxy = [], caBundle } = options
    const { scheme, authority } = reachableAddress(fastify, options, 'proxyEnv')
    const userinfo = username === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
    return proxyEnvironment({
      proxyUrl: `${scheme}://${userinfo}${authority}`,
      noProxy,
      certificate: files.certificate(),
      bundle: caBundle === 'only' ? files.certificate() : files.bundle(),
      nodeOptions: process.env.NODE_OPTIONS
    })
  })

  const dispatcher = (caller: string, access: ProxyAccess): ProxyDispatcher => {
    checkOptions(access, ACCESS)
    const address = reachableAddress(fastify, access, caller)
    return makeDispatcher(loadUndici(caller), address, access, ca.trustedPem)
  }
  fastify.decorate('proxyDispatcher', (access: ProxyAccess = {}) => dispatcher('proxyDispatcher', access))

  let own: ProxyDispatcher | undefined
  let trusted: string | undefined
  const proxyFetch: ProxyFetch = async (input, init) => {
    if (trusted !== ca.trustedPem) {
      own?.close(() => {})
      own = dispatcher('proxyFetch', {})
      trusted = ca.trustedPem
    }
    return await loadUndici('proxyFetch').fetch(input, { dispatcher: own, ...init })
  }
  fastify.decorate('proxyFetch', proxyFetch)
  // What is still running may end; whatever then remains, an answer that nobody reads say, ends with the server.
  fastify.addHook('preClose', async () => { own?.close(() => {}) })
  fastify.addHook('onClose', async () => { await own?.destroy() })
}
