/** Routes the requests that come through tunnels. */
import type { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { RawRequest } from '../../types/options'
import { FST_PROX_BAD_TARGET, FST_PROX_MISDIRECTED } from '../errors'
import type { Origin } from '../http/target'
import { isAbsoluteForm, parseAbsoluteTarget, parsePath, redactTarget } from '../http/target'
import { asksForWebSocket } from '../http/upgrade'
import { isHttp2 } from '../http/version'
import type { ProxyRouter } from '../routing/proxy-router'
import type { Http1Handlers } from '../tunnel/http1'
import type { Http2Handlers } from '../tunnel/http2'
import { closeSession } from '../tunnel/http2'
import type { TunnelRegistry } from '../tunnel/registry'
import type { Tunnel } from '../tunnel/tunnel'
import { dispatchRouted } from './requests'
import type { Dispatch } from './requests'
import type { DispatchUpgrade } from './upgrades'
import { routeUpgrade } from './upgrades'

export interface TunnelRequestsOptions {
  /** Fastify's own server, which hears of clients' errors. */
  readonly server: EventEmitter
  readonly router: ProxyRouter
  readonly registry: TunnelRegistry
  readonly dispatch: Dispatch
  /** `null`: upgrades are ignored. */
  readonly dispatchUpgrade: DispatchUpgrade | null
  /** Of a tunnel; 0: no limit. */
  readonly maxRequestsPerSocket: number
}

/** What the HTTP servers of tunnels do with requests. */
export function tunnelHandlers (options: TunnelRequestsOptions): Http1Handlers & Http2Handlers {
  const { server, router, registry, dispatch, dispatchUpgrade } = options
  const maxRequests = options.maxRequestsPerSocket || Infinity
  const isLast = (tunnel: Tunnel): boolean => {
    tunnel.requests++
    return registry.shouldCloseAfterResponse || tunnel.requests >= maxRequests
  }

  return {
    http1Request (tunnel, raw, response) {
      tunnel.response = response
      if (isLast(tunnel)) response.setHeader('connection', 'close')
      dispatchRouted(route(router, tunnel, raw, false), dispatch, raw, response)
    },

    http2Request (tunnel, raw, response) {
      if (isLast(tunnel)) closeSession(raw)
      dispatchRouted(route(router, tunnel, raw, false), dispatch, raw, response)
    },

    takesUpgrade: (raw) => dispatchUpgrade !== null && asksForWebSocket(raw),

    upgrade (tunnel, raw, socket, head) {
      tunnel.requests++
      tunnel.state = 'upgraded'
      tunnel.watch = null
      tunnel.probe()
      routeUpgrade(route(router, tunnel, raw, true), raw, socket, head, dispatchUpgrade!)
    },

    connectRefused ({ request: { authority, log } }) {
      log.info(`tunnel to ${authority}: CONNECT inside a tunnel refused`)
    },

    clientError: (err: Error, socket: Duplex) => server.emit('clientError', err, socket)
  }
}

/**
 * Routes a request for the origin of its tunnel, or for the one that it names itself: by `:authority`, or by a target
 * in absolute-form, which origin servers accept too (RFC 9112 3.2.2).
 */
function route (router: ProxyRouter, tunnel: Tunnel, raw: RawRequest, upgrade: boolean): void | Promise<void> {
  const { request: { credentials } } = tunnel
  const [origin, info] = [tunnel.origin!, tunnel.info!]
  const url = raw.url!
  const authority = isHttp2(raw) ? raw.authority : origin.authority
  const ownPath = authority === origin.authority ? parsePath(url) : null
  if (ownPath !== null) return router.routeTunnelled(raw, origin, ownPath, info, credentials, upgrade)

  const named = isAbsoluteForm(url) ? url : `${origin.scheme}://${authority}${url === '*' ? '' : url}`
  const target = parseAbsoluteTarget(named)
  if (target === null) return router.routeToErrorHandler(raw, new FST_PROX_BAD_TARGET(redactTarget(named)))
  const { origin: namedOrigin, path } = target
  if (!speaksFor(tunnel, namedOrigin)) {
    return router.routeToErrorHandler(raw, new FST_PROX_MISDIRECTED(namedOrigin.url))
  }
  const go = (): void | Promise<void> => router.routeTunnelled(raw, namedOrigin, path, info, credentials, upgrade)
  const { hostname } = namedOrigin
  if (hostname === origin.hostname) return go()
  const allowed = tunnel.request.authorize(hostname, info)
  if (allowed === undefined) return go()
  return allowed.then(
    // A host to pass through needs a tunnel of its own.
    (decision) => decision === null ? go() : router.routeToErrorHandler(raw, new FST_PROX_MISDIRECTED(namedOrigin.url)),
    (err) => router.routeToErrorHandler(raw, err)
  )
}

/** Whether a tunnel's certificate and port are those of an origin (RFC 9110 7.4). */
function speaksFor ({ origin, leaf }: Tunnel, { scheme, hostname, port }: Origin): boolean {
  return scheme === origin!.scheme && port === origin!.port &&
    (hostname === origin!.hostname || (leaf !== null && leaf.covers(hostname)))
}
