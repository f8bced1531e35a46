/** Intercepts the streams of an HTTP/2 server that are for the proxy: CONNECT, and requests for other origins. */
import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { acceptStream } from '../compat/http2-stream'
import type { Http2Limits } from '../compat/http2-stream'
import { takeOver } from '../compat/listeners'
import { isAbsoluteForm } from '../http/target'
import type { StreamArguments } from '../tunnel/http2'
import type { ProxyRouter } from '../routing/proxy-router'
import type { ConnectServer } from './connect'
import type { Dispatch } from './requests'
import { dispatchRouted } from './requests'

/** Routes the proxied streams of a server, and leaves the others to Node's own listener. */
export function interceptStreams (
  server: EventEmitter, router: ProxyRouter, connect: ConnectServer, dispatch: Dispatch, limits: Http2Limits
): void {
  takeOver<StreamArguments>(server, 'stream', (inherited) => (...args) => {
    const [stream, headers, , rawHeaders] = args
    const isConnect = headers[':method'] === 'CONNECT'
    const url = isConnect ? null : proxiedUrl(stream, headers)
    if (!isConnect && url === null) return inherited(...args)
    const accepted = acceptStream(stream, headers, rawHeaders, limits)
    if (accepted === null) return
    const { request, response } = accepted
    // A stream that was accepted has its session.
    connect.closeLater(stream.session!)
    if (url === null) return connect.onConnectStream(request, response)
    dispatchRouted(router.routeAbsolute(request, url), dispatch, request, response)
  })
}

/** The URL that a stream asks a proxy for (RFC 9113 8.3.1); `null`: it is for this server itself. */
function proxiedUrl ({ session }: ServerHttp2Stream, headers: IncomingHttpHeaders): string | null {
  const { ':path': path = '', ':scheme': scheme, ':authority': authority } = headers
  if (isAbsoluteForm(path)) return path
  // Over TLS, a request for this server has the scheme https.
  return scheme === 'http' && session?.encrypted === true ? `http://${authority}${path === '*' ? '' : path}` : null
}
