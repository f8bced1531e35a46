/** From a tunnel to ingress: requests and upgrades that came through tunnels. */
import type { ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import type { Http2ServerRequest } from 'node:http2'
import type { RawRequest } from '../../types/options'
import type { Dispatch } from './requests'
import { readAsOrdinary, whenIn } from './requests'
import { FST_PROX_BAD_TARGET, FST_PROX_MISDIRECTED } from '../errors'
import type { Ingress } from '../routing/proxy-router'
import { whenAnswered } from '../compat/pipelining'
import { isAbsoluteForm, originOf, parseAbsoluteTarget, parsePath, redactTarget } from '../http/target'
import { asksForWebSocket } from '../http/upgrade'
import { isHttp2 } from '../http/version'
import { closeSession } from '../tunnel/servers'
import type { ServerHandlers, ServerLimits } from '../tunnel/servers'
import type { Tunnel } from '../tunnel/tunnel'

export interface RequestsSettings {
  readonly ingress: Ingress
  readonly dispatch: Dispatch
  /** `null`: no upgrades. */
  readonly dispatchUpgrade: Dispatch | null
  readonly clientError: ServerHandlers['clientError']
  /** Of a tunnel; 0: no limit. */
  readonly maxRequestsPerSocket: ServerLimits['maxRequestsPerSocket']
  /** For HTTP/2, which Node does not limit. */
  readonly requestTimeout: ServerLimits['requestTimeout']
}

export function tunnelHandlers (settings: RequestsSettings): ServerHandlers {
  const { ingress, dispatch, dispatchUpgrade, clientError, requestTimeout } = settings
  const maxRequests = settings.maxRequestsPerSocket || Infinity

  return {
    clientError,

    request (tunnel, raw, response) {
      if (isHttp2(raw)) {
        if (tunnel.beginRequest(null) || tunnel.requests >= maxRequests) closeSession(raw)
        if (requestTimeout > 0 && !raw.stream.endAfterHeaders) limitUpload(raw, requestTimeout)
      } else if (tunnel.beginRequest(response as ServerResponse) || tunnel.requests >= maxRequests) {
        response.setHeader('connection', 'close')
      }
      whenIn(takeIn(ingress, tunnel, raw, false), () => dispatch(raw, response))
    },

    upgrade: dispatchUpgrade && ((tunnel, raw, socket, head, server) => whenAnswered(socket, () => {
      if (!asksForWebSocket(raw)) return readAsOrdinary(server, raw, socket, head)
      tunnel.beginUpgrade()
      socket.on('error', () => socket.destroy())
      whenIn(takeIn(ingress, tunnel, raw, true), () => dispatchUpgrade(raw, socket, head))
    }))
  }
}

/**
 * Hands a request to ingress, with the origin of its tunnel or the one that it names itself: by `:authority`, or by a
 * target in absolute-form, which origin servers accept too (RFC 9112 3.2.2).
 */
function takeIn (ingress: Ingress, tunnel: Tunnel, raw: RawRequest, upgrade: boolean): void | Promise<void> {
  const { info, credentials, origin } = tunnel
  const url = raw.url!
  const authority = isHttp2(raw) ? raw.authority : origin.authority
  const samePath = authority === origin.authority ? parsePath(url) : null
  if (samePath !== null) return ingress.tunnelled(raw, origin, samePath, info, credentials, upgrade)

  const named = isAbsoluteForm(url) ? url : `${origin.scheme}://${authority}${url === '*' ? '' : url}`
  const target = parseAbsoluteTarget(named)
  if (target === null) return ingress.fail(raw, new FST_PROX_BAD_TARGET(redactTarget(named)))
  const { scheme, hostname, port, path } = target
  if (scheme !== origin.scheme || (hostname !== origin.hostname && !tunnel.covers(hostname))) {
    return ingress.fail(raw, new FST_PROX_MISDIRECTED(`${scheme}://${hostname}`))
  }
  return ingress.tunnelled(raw, originOf(scheme, hostname, port), path, info, credentials, upgrade)
}

/** Ends a stream whose request does not arrive in time, with 408 if nothing has been answered yet. */
function limitUpload ({ stream }: Http2ServerRequest, milliseconds: number): void {
  const timer = setTimeout(() => {
    if (stream.state.remoteClose === 1) return
    if (!stream.headersSent) stream.respond({ ':status': 408 }, { endStream: true })
    stream.close(constants.NGHTTP2_CANCEL)
  }, milliseconds)
  stream.once('close', () => clearTimeout(timer))
}
