/**
 * Registers the plugin: reads the options, decorates the instance and adds the hooks in the order in which they run.
 */
import type { Server } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { CertificateAuthorityOptions } from '../types/ca'
import type { FastifyProxOptions } from '../types/options'
import '../types/fastify'
import { CertificateAuthority } from './ca/authority'
import { addClientHelpers } from './clients/client-helpers'
import { secondaryServers } from './compat/secondary-servers'
import { assertSupported } from './compat/supported'
import { directNotice, downloadApp } from './download/app'
import { FST_PROX_ALREADY_REGISTERED, FST_PROX_INVALID_OPTION, show } from './errors'
import { readCredentials } from './http/credentials'
import { assertAtRoot, readOptions } from './options'
import type { Settings } from './options'
import { PrivateRoutes } from './routing/private-routes'
import { ProxyHosts } from './routing/proxy-hosts'
import { credentialsOf, proxyOf } from './routing/proxied-request'
import { ProxyRouter } from './routing/proxy-router'
import { addConnectRoute } from './server/connect-route'
import { ConnectPolicy } from './server/policy'
import { createProxyServer } from './server/proxy-server'
import type { ProxyServer } from './server/proxy-server'
import { labelRequestLogs } from './server/request-log'
import { interceptRouted } from './server/requests'
import { KeyLog } from './tunnel/key-log'

const NO_LISTENER = 'fastify-prox: nothing of Fastify listens to the requests of this server (option serverFactory). ' +
  'Requests in absolute-form run the hooks before this plugin twice, are logged twice, and some are answered before ' +
  'it sees them'

/** Servers that a proxy answers for. */
const registered = new WeakSet<object>()

const plugin: FastifyPluginAsync<FastifyProxOptions> = async (fastify, options) => {
  const { server } = fastify
  if (registered.has(server)) throw new FST_PROX_ALREADY_REGISTERED()
  assertSupported()
  assertAtRoot(fastify, options)
  registered.add(server)

  const settings = readOptions(options)
  warnOfPrefix(fastify, options.resolver)
  const { resolver } = settings
  const ca = await loadAuthority(fastify, settings)
  fastify.decorate('proxyResolver', resolver)
  fastify.decorate('proxyCA', ca)
  fastify.decorateRequest('proxy', { getter () { return proxyOf(this.raw) } })
  fastify.decorateRequest('proxyCredentials', { getter () { return readCredentials(this.raw)[0] ?? null } })

  const routes = new PrivateRoutes(fastify)
  const hosts = new ProxyHosts(routes)
  const { name: defaultHost } = hosts.addName(settings.proxyHost, 'proxyHost')
  const router = new ProxyRouter({ routes, hosts, resolver, defaultHost })
  const routeConnect = addConnectRoute(routes)
  interceptRouted(fastify, router)
  labelRequestLogs(fastify)
  registerHosts(fastify, hosts, ca, settings)
  addClientHelpers(fastify, router, ca, settings.websockets)

  let proxy: ProxyServer | undefined
  fastify.addHook('onReady', async () => {
    proxy = createProxyServer(fastify, {
      ...settings,
      ca,
      router,
      routeConnect,
      policy: new ConnectPolicy(resolver, settings.onConnect),
      timeouts: { ...settings.timeouts, idle: options.timeouts?.idle ?? keepAliveOf(fastify) },
      keyLog: settings.keyLogFile === null ? null : openKeyLog(fastify, settings.keyLogFile)
    })
    if (!proxy.hasListeners) fastify.log.warn(NO_LISTENER)
  })

  fastify.addHook('onListen', async () => {
    for (const secondary of secondaryServers(fastify)) proxy!.attach(secondary)
  })

  // Not waited for: other plugins close what they have in tunnels, WebSockets say, in hooks of their own. And once:
  // Fastify runs this hook for every context (5.0), or for the root alone.
  let closed: Promise<void> | undefined
  fastify.addHook('preClose', async () => { closed ??= proxy?.close() })
  fastify.addHook('onClose', async () => { await closed })
}

/** Warns of a prefix that runs into the URL behind it. */
function warnOfPrefix ({ log }: FastifyInstance, resolver: FastifyProxOptions['resolver']): void {
  if (typeof resolver !== 'string' || resolver.endsWith('/')) return
  const url = 'http://example.com/'
  log.warn(`fastify-prox: with the prefix ${show(resolver)}, ${url} is answered by the route for ${resolver}${url}. ` +
    `Was ${show(`${resolver}/`)} meant?`)
}

async function loadAuthority (fastify: FastifyInstance, { ca, tls }: Settings): Promise<CertificateAuthority> {
  if (!(ca instanceof CertificateAuthority)) {
    const options = { tls, ...ca as CertificateAuthorityOptions }
    const loaded = await CertificateAuthority.load(options, ({ code, message }) => fastify.log.warn({ code }, message))
    fastify.addHook('onClose', async () => loaded.close())
    return loaded
  }
  if (Object.keys(tls).length > 0) {
    const takes = 'no value when ca is a CertificateAuthority, which has its own'
    throw new FST_PROX_INVALID_OPTION('tls', takes, 'an object')
  }
  return ca
}

/** Refuses a WebSocket route that @fastify/websocket does not see, and that would answer as a route of HTTP. */
function assertWebSockets (fastify: FastifyInstance, route: RouteOptions & { websocket?: unknown }): void {
  if (route.websocket !== true || fastify.hasDecorator('websocketServer')) return
  const takes = 'true when @fastify/websocket is registered before the route'
  throw new FST_PROX_INVALID_OPTION(`websocket of ${String(route.method)} ${route.url}`, takes, 'true before it')
}

function registerHosts (
  fastify: FastifyInstance, hosts: ProxyHosts, ca: CertificateAuthority, { proxyApps, downloadHost }: Settings
): void {
  fastify.addHook('onRoute', function (route) {
    assertWebSockets(this, route)
    hosts.assignConstrained(route)
  })
  hosts.answerQueries(fastify)
  hosts.addApps(fastify, proxyApps)
  if (downloadHost !== null) {
    const section = hosts.addName(downloadHost, 'downloadHost')
    const app = downloadApp({ ca, host: section.name, credentialsOf: ({ raw }) => credentialsOf(raw) })
    fastify.register(hosts.context(section, app))
    fastify.register(directNotice({ host: section.name }))
  }
}

/** Milliseconds; 0: no limit. */
function keepAliveOf ({ server, initialConfig }: FastifyInstance): number {
  const { keepAliveTimeout }: Partial<Server> = server
  return keepAliveTimeout ?? initialConfig.keepAliveTimeout!
}

function openKeyLog (fastify: FastifyInstance, file: string): (line: Buffer) => void {
  const keyLog = new KeyLog(file, fastify.log)
  fastify.addHook('onClose', () => keyLog.close())
  return keyLog.write
}

export const fastifyProxPlugin = fp(plugin, { fastify: '5.x', name: 'fastify-prox' })
