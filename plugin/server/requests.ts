/**
 * Where requests come in: ingress takes the seat of what listens to the server, prepares what is proxied, and then
 * calls whoever sat there. What is not proxied reaches them as it came.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Server as TlsServer } from 'node:tls'
import type { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { RawRequest } from '../../types/options'
import type { ProxyRequest } from '../../types/request'
import type { Ingress } from '../routing/proxy-router'
import { hasFailed, proxyOf } from '../routing/proxy-router'
import { whenAnswered } from '../compat/pipelining'
import { proxiedUrl } from '../http/target'
import { asksForWebSocket } from '../http/upgrade'

/** What listens to an event of a server, called with the arguments of the event. */
export type Dispatch = (raw: unknown, ...rest: unknown[]) => void

/**
 * Takes the seat of the 'request' listeners of a server, and returns what calls them: for requests that ingress has
 * taken in, from here or from a tunnel. `null`: nobody sits there, and `guardRoutes` is the only door.
 */
export function guardRequests (server: EventEmitter, ingress: Ingress): Dispatch | null {
  return takeSeat(server, 'request', (dispatch) => {
    const dispatchUnlessGone: Dispatch = (raw, response) => {
      // A resolver may have taken so long that the client has left.
      if (!(raw as IncomingMessage).aborted) dispatch(raw, response)
    }
    const listener: Dispatch = (raw, response) => {
      const url = proxiedUrl(raw as RawRequest)
      if (url === null) return dispatch(raw, response)
      whenIn(ingress.absolute(raw as RawRequest, url), () => dispatchUnlessGone(raw, response))
    }
    return [listener, dispatchUnlessGone]
  })
}

/**
 * Takes the seat of the 'upgrade' listeners of a server, and returns what calls them; `null`: nobody sits there.
 * @param websockets whether proxied ones may come in
 */
export function guardUpgrades (server: EventEmitter, ingress: Ingress, websockets: boolean): Dispatch | null {
  return takeSeat(server, 'upgrade', (dispatch) => [(first, second, third) => {
    const [raw, socket, head] = [first as IncomingMessage, second as Duplex, third as Buffer]
    const url = proxiedUrl(raw)
    if (url === null) return dispatch(raw, socket, head)
    socket.on('error', () => socket.destroy())
    whenAnswered(socket, () => {
      if (!websockets || !asksForWebSocket(raw)) return readAsOrdinary(server, raw, socket, head)
      whenIn(ingress.absolute(raw, url, true), () => dispatch(raw, socket, head))
    })
  }, dispatch])
}

/**
 * The last door, behind Fastify's router: takes in absolute-form requests that came by no other, from a `serverFactory`
 * or someone's call of `fastify.routing`. What ran before this hook runs once more when they are routed again.
 */
export function guardRoutes (fastify: FastifyInstance, ingress: Ingress): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    const proxy = proxyOf(raw)
    if (proxy !== null) {
      showProtocol(request, proxy)
      return done()
    }
    const url = raw.method === 'CONNECT' || hasFailed(raw) ? null : proxiedUrl(raw)
    if (url !== null) {
      reply.hijack()
      return whenIn(ingress.absolute(raw, url), () => fastify.routing(raw, reply.raw))
    }
    done()
  })
}

/** Has `request.protocol` tell how the client asked, where the connection says otherwise: `https:` in absolute-form, say. */
function showProtocol (request: FastifyRequest, { scheme, tunnel }: ProxyRequest): void {
  if (tunnel !== null && tunnel.tlsVersion !== null) return
  const secure = scheme === 'https'
  const { encrypted = false }: { encrypted?: boolean } = request.raw.socket as Partial<TLSSocket>
  if (secure !== encrypted) Object.defineProperty(request, 'protocol', { value: secure ? 'https' : 'http', configurable: true })
}

/** Goes on when ingress has taken a request in: in the same tick if it can. */
export function whenIn (pending: void | Promise<void>, go: () => void): void {
  if (pending === undefined) go()
  else pending.then(go)
}

/**
 * Lets a server read a request once more, this time without its `Upgrade` field: a server may ignore the field
 * (RFC 9110 7.8), but Node has already given up the connection when it says that there was one.
 */
export function readAsOrdinary (server: EventEmitter, raw: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${raw.method} ${raw.url} HTTP/${raw.httpVersion}`]
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i]!
    if (name.toLowerCase() !== 'upgrade') lines.push(`${name}: ${raw.rawHeaders[i + 1]}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}

/** @param guard makes of what calls the listeners, as they were: what listens in their place, and what the caller gets */
function takeSeat (server: EventEmitter, event: string, guard: (dispatch: Dispatch) => [listener: Dispatch, dispatch: Dispatch]): Dispatch | null {
  const seated = server.listeners(event) as Dispatch[]
  if (seated.length === 0) return null
  const [listener, dispatch] = guard(seated.length === 1
    ? (...args) => seated[0]!.apply(server, args)
    : (...args) => seated.forEach((each) => each.apply(server, args)))
  for (const each of seated) server.off(event, each)
  server.on(event, listener)
  return dispatch
}
