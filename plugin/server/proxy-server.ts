/**
 * Builds what serves proxied requests when the application is ready: the servers of tunnels, and what listens to
 * Fastify's.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { CertificateAuthority } from '../../types/ca'
import type { ProxyLimits, ProxyTimeouts } from '../../types/options'
import { http2LimitsOf } from '../compat/http1-server'
import { shareUpgrades } from '../compat/upgrade'
import type { ProxyRouter } from '../routing/proxy-router'
import { Http1Server } from '../tunnel/http1'
import type { ServerLimits } from '../tunnel/http1'
import { Http2Sessions } from '../tunnel/http2'
import { OutcomeReporter } from '../tunnel/outcome'
import { PassDialer } from '../tunnel/pass'
import { TunnelRegistry } from '../tunnel/registry'
import { ConnectServer } from './connect'
import type { RouteConnect } from './connect-route'
import { watchConnections } from './connection-watch'
import { interceptStreams } from './http2-streams'
import type { ConnectPolicy } from './policy'
import { ProxyProtocol } from './proxy-protocol'
import type { ProxyProtocolSettings } from './proxy-protocol'
import { interceptRequests } from './requests'
import type { Dispatch } from './requests'
import { tunnelHandlers } from './tunnel-requests'
import { interceptUpgrades } from './upgrades'

export interface ProxyServerOptions {
  readonly ca: CertificateAuthority
  readonly router: ProxyRouter
  readonly routeConnect: RouteConnect
  readonly policy: ConnectPolicy
  readonly websockets: boolean
  readonly http2: boolean
  readonly proxyProtocol: ProxyProtocolSettings | null
  readonly timeouts: Required<ProxyTimeouts>
  readonly limits: Required<ProxyLimits>
  readonly keepAliveMax: number
  readonly keyLog: ((line: Buffer) => void) | null
}

export interface ProxyServer {
  /** Whether anything of Fastify's listens to the requests of its server. */
  readonly hasListeners: boolean
  /** Intercepts the requests of a secondary server. */
  attach (secondary: Server): void
  /** Refuses every CONNECT from now on, and resolves when the tunnels have ended. */
  close (): Promise<void>
}

export function createProxyServer (fastify: FastifyInstance, options: ProxyServerOptions): ProxyServer {
  const { server } = fastify
  const { ca, router, timeouts, policy } = options
  const dispatch: Dispatch = (raw, response) => {
    // A resolver may have taken so long that the client has left.
    if (!(raw as IncomingMessage).aborted) fastify.routing(raw as IncomingMessage, response as ServerResponse)
  }

  const hasListeners = interceptRequests(server, router, dispatch)
  const inheritedUpgrade = interceptUpgrades(server, router, options.websockets)

  const reporter = new OutcomeReporter(ca)
  const limits = limitsOf(server, timeouts.idle)
  const watched = [
    timeouts.firstByte, timeouts.handshake, timeouts.passIdle,
    limits.idle, limits.timeout, limits.headersTimeout, limits.requestTimeout
  ]
  const registry: TunnelRegistry = new TunnelRegistry({
    ...options, watched, reporter, closeSessions: () => http2.closeSessions()
  })
  const handlers = tunnelHandlers({
    server,
    router,
    registry,
    dispatch,
    dispatchUpgrade: options.websockets ? inheritedUpgrade : null,
    maxRequestsPerSocket: limits.maxRequestsPerSocket
  })
  const http1 = new Http1Server(server, limits, handlers)
  const streamLimits = { ...http2LimitsOf(server), express: fastify.hasDecorator('express') }
  const http2 = new Http2Sessions(limits, streamLimits, handlers)
  const intercept = {
    ca,
    http1,
    http2: options.http2 ? http2 : null,
    reporter,
    passDialer: new PassDialer(fastify, (socket) => registry.keep(socket)),
    timeouts,
    keyLog: options.keyLog
  }
  const connect = new ConnectServer({ route: options.routeConnect, dispatch, policy, registry, intercept })

  const proxyProtocol = options.proxyProtocol === null ? null : new ProxyProtocol(options.proxyProtocol, fastify.log)

  proxyProtocol?.attach(server)
  server.on('connect', connect.onConnect)
  interceptStreams(server, router, connect, dispatch, streamLimits)
  watchConnections(server)

  return {
    hasListeners,
    attach (secondary) {
      proxyProtocol?.attach(secondary)
      interceptRequests(secondary, router, dispatch)
      shareUpgrades(server, secondary)
      secondary.on('connect', connect.onConnect)
      interceptStreams(secondary, router, connect, dispatch, streamLimits)
      watchConnections(secondary)
    },
    async close () {
      proxyProtocol?.close()
      await connect.close()
      http1.close()
    }
  }
}

type LimitedServer = Partial<Pick<Server, 'headersTimeout' | 'requestTimeout' | 'timeout' | 'maxRequestsPerSocket'>>

/** What Fastify's server allows its own connections; a server of HTTP/2 knows less of it. */
function limitsOf (server: LimitedServer, idle: number): ServerLimits {
  const { headersTimeout = 60_000, requestTimeout = 0, timeout = 0, maxRequestsPerSocket } = server
  return { headersTimeout, requestTimeout, timeout, idle, maxRequestsPerSocket: maxRequestsPerSocket ?? 0 }
}
