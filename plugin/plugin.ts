/** Registers the plugin: reads the options, decorates the instance and adds the hooks in the order in which they run. */
import { createWriteStream } from 'node:fs'
import type { Server } from 'node:http'
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import type { FastifyProxOptions } from '../types/options'
import '../types/fastify'
import { secondaryServers } from './compat/secondary-servers'
import { CertificateAuthority } from './ca/authority'
import { guardRequests, guardRoutes, guardUpgrades } from './server/requests'
import type { Dispatch } from './server/requests'
import { directNotice, downloadApp } from './download/app'
import { FST_PROX_ALREADY_REGISTERED, FST_PROX_INVALID_OPTION, FST_PROX_NOT_AT_ROOT } from './errors'
import { ProxyHosts } from './routing/proxy-hosts'
import { Ingress, proxyOf } from './routing/proxy-router'
import { readOptions } from './options'
import type { Settings } from './options'
import { PrivateRoutes } from './routing/private-routes'
import { servePrograms } from './clients/client-helpers'
import { Connect } from './server/connect'
import { tunnelHandlers } from './server/tunnel-requests'
import { TunnelServers } from './tunnel/servers'
import type { ServerLimits } from './tunnel/servers'
import { Tunnels } from './tunnel/tunnels'

const NO_SEAT = 'fastify-prox: nothing of Fastify listens to the requests of this server (option serverFactory). ' +
  'Requests in absolute-form run the hooks before this plugin twice, are logged twice, and some are answered before it sees them'

/** Servers that a proxy answers for. */
const registered = new WeakSet<object>()

const plugin: FastifyPluginAsync<FastifyProxOptions> = async (fastify, options) => {
  const { server } = fastify
  const prefix = fastify.prefix || (options as { prefix?: string }).prefix
  if (prefix) throw new FST_PROX_NOT_AT_ROOT(prefix)
  if (registered.has(server)) throw new FST_PROX_ALREADY_REGISTERED()
  registered.add(server)

  const settings = readOptions(options)
  const { resolver } = settings
  const ca = await authority(fastify, settings)
  fastify.decorate('proxyResolver', resolver)
  fastify.decorate('proxyCA', ca)
  fastify.decorateRequest('proxy', { getter () { return proxyOf(this.raw) } })

  const routes = new PrivateRoutes(fastify)
  const hosts = new ProxyHosts(routes)
  const application = hosts.addName(settings.proxyHost, 'proxyHost')
  const ingress = new Ingress(fastify, routes, hosts, resolver, application.name)
  const connect = new Connect(fastify, routes, settings)
  guardRoutes(fastify, ingress)
  registerHosts(fastify, hosts, ca, settings)
  servePrograms(fastify, ingress, ca)

  fastify.addHook('onReady', async () => {
    const dispatch = guardRequests(server, ingress)
    if (dispatch === null) fastify.log.warn(NO_SEAT)
    const dispatchUpgrade = guardUpgrades(server, ingress, settings.websockets)
    const idle = settings.timeouts.idle || keepAliveOf(fastify)
    const limits = limitsOf(fastify, idle)
    const servers = new TunnelServers(server, limits, tunnelHandlers({
      ...limits,
      ingress,
      dispatch: dispatch ?? (fastify.routing as Dispatch),
      dispatchUpgrade: settings.websockets ? dispatchUpgrade : null,
      clientError: (err, socket) => server.emit('clientError', err, socket)
    }))
    const keyLog = settings.keyLogFile === null ? null : openKeyLog(fastify, settings.keyLogFile)
    connect.serve(new Tunnels(ca, servers, { ...settings, timeouts: { ...settings.timeouts, idle }, keyLog }))
    server.on('connect', connect.listener)
  })

  fastify.addHook('onListen', async () => {
    for (const secondary of secondaryServers(fastify)) {
      guardRequests(secondary, ingress)
      // Fastify forwards upgrades whether anyone takes them or not; without a listener Node reads them as ordinary requests.
      if (server.listenerCount('upgrade') === 0) secondary.removeAllListeners('upgrade')
      secondary.on('connect', connect.listener)
    }
  })

  // Not waited for: other plugins close what they have in tunnels, WebSockets say, in hooks of their own. And once:
  // Fastify runs this hook for every context (5.0), or for the root alone.
  let closed: Promise<void> | undefined
  fastify.addHook('preClose', async () => { closed ??= connect.close() })
  fastify.addHook('onClose', async () => { await closed })
}

async function authority (fastify: FastifyInstance, { ca, tls }: Settings): Promise<CertificateAuthority> {
  if (!(ca instanceof CertificateAuthority)) {
    return await CertificateAuthority.load({ tls, ...ca }, ({ code, message }) => fastify.log.warn({ code }, message))
  }
  if (Object.keys(tls).length > 0) {
    throw new FST_PROX_INVALID_OPTION('tls', 'no value when ca is a CertificateAuthority, which has its own', 'an object')
  }
  return ca
}

function registerHosts (fastify: FastifyInstance, hosts: ProxyHosts, ca: CertificateAuthority, { proxyApps, downloadHost }: Settings): void {
  fastify.addHook('onRoute', (route) => hosts.assignConstrained(route))
  for (const [name, app] of proxyApps) {
    const section = hosts.add(name, 'proxyApps')
    if (app !== null) fastify.register(hosts.context(section, app))
  }
  if (downloadHost !== null) {
    const section = hosts.addName(downloadHost, 'downloadHost')
    fastify.register(hosts.context(section, downloadApp({ ca, host: section.name })))
    fastify.register(directNotice({ host: section.name }))
  }
}

/** What the Fastify instance allows its own connections; a server of HTTP/2 knows less of it. */
function limitsOf ({ server }: FastifyInstance, idle: number): ServerLimits {
  const { headersTimeout = 60_000, requestTimeout = 0, timeout = 0, maxRequestsPerSocket }: Partial<Server> = server
  return { headersTimeout, requestTimeout, timeout, idle, maxRequestsPerSocket: maxRequestsPerSocket ?? 0 }
}

/** Milliseconds; 0: no limit. */
function keepAliveOf ({ server, initialConfig }: FastifyInstance): number {
  const { keepAliveTimeout }: Partial<Server> = server
  return keepAliveTimeout ?? initialConfig.keepAliveTimeout!
}

/** For programs such as Wireshark; whoever reads the file can read the traffic, so only the owner may. */
function openKeyLog (fastify: FastifyInstance, file: string): (line: Buffer) => void {
  const stream = createWriteStream(file, { flags: 'a', mode: 0o600 })
  stream.on('error', (err) => fastify.log.error({ err }, 'fastify-prox: the key log cannot be written'))
  // A stream that has failed tells so too.
  fastify.addHook('onClose', async () => { await new Promise<void>((resolve) => { stream.end(() => resolve()) }) })
  return (line) => { stream.write(line) }
}

export const fastifyProxPlugin = fp(plugin, { fastify: '5.x', name: 'fastify-prox' })
