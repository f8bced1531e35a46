/** The plugin `fastify-prox/forward`: options in, decorators and hooks out. */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocket } from 'ws'
import type {
  ExchangeAnswerer, ExchangeListener, ForwardConfig, ForwardOptions, ForwardPluginOptions, ForwardSocketOptions
} from '../types/forward'
import '../types/fastify'
import { Dialer } from '../net/dialer'
import { AddressGuard, ownAddresses } from '../net/guard'
import { UpstreamTls } from '../net/tls'
import { proxyChooser } from '../net/via'
import { FST_PROX_INVALID_OPTION, show } from '../plugin/errors'
import { Connector } from './connector'
import type { Forwarding } from './forward'
import { forward } from './forward'
import { leaveBodiesAlone } from './bodies'
import { dialFirst, forwardSocket } from './sockets'
import { Upstreams } from './upstreams'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Forwards the request to the host of `request.proxy.url`, and answers with what the host answers. Return it.
     * Errors go to the error handler: FST_PROX_ADDRESS_REFUSED (403), FST_PROX_LOOP (508), FST_PROX_UPSTREAM_TIMEOUT
     * (504), FST_PROX_UPSTREAM_… (502), FST_PROX_BODY_PARSED (500), FST_PROX_NOT_PROXIED (404).
     * @example app.all('/*', (request, reply) => reply.forward({ headers: { cookie: null } }))
     */
    forward (options?: ForwardOptions): FastifyReply
  }

  interface FastifyRequest {
    /**
     * Forwards a WebSocket to the host of `request.proxy.url`. With `config: { forward: true }` (or what to dial with)
     * on the route, the host has been dialled before the client was accepted, and its refusal was the reply. Without,
     * the host is dialled now, with `options`, and a refusal closes the socket with 1014.
     * @example
     * const options = { websocket: true, config: { forward: true } }
     * app.get('/live/*', options, (socket, request) => request.forwardSocket(socket))
     */
    forwardSocket (socket: WebSocket, options?: ForwardSocketOptions): void
  }

  interface FastifyContextConfig {
    /** Whether the route forwards: its bodies are left unparsed, its WebSockets dialled before they are accepted. */
    forward?: ForwardConfig
  }
}

/** The forwarder of an instance, which contexts inside it inherit. */
const FORWARDING = Symbol('fastify-prox.forwarding')

/** That of the nearest context in which the plugin was registered. */
function forwardingIn (fastify: FastifyInstance): Forwarding {
  return (fastify as FastifyInstance & { [FORWARDING]: Forwarding })[FORWARDING]
}

const PSEUDONYM = /^[a-z0-9!#$%&'*+.^_`|~:-]+$/i

const plugin: FastifyPluginAsync<ForwardPluginOptions> = async (fastify, options) => {
  const forwarding = forwardingOf(fastify, options)
  const listeners: ExchangeListener[] = []
  const answerers: ExchangeAnswerer[] = []
  Object.defineProperty(fastify, FORWARDING, { value: { ...forwarding, listeners, answerers } })
  fastify.addHook('onClose', async () => forwarding.upstreams.close())
  leaveBodiesAlone(fastify)
  dialFirst(fastify, forwardingIn)
  if (!fastify.hasReplyDecorator('forward')) {
    fastify.decorateReply('forward', function (this: FastifyReply, given: ForwardOptions = {}) {
      forward(forwardingIn(this.server), this.request, this, given)
      return this
    })
    fastify.decorate('onExchange', function (this: FastifyInstance, listener: ExchangeListener) {
      (forwardingIn(this).listeners as ExchangeListener[]).push(listener)
    })
    fastify.decorate('answerExchange', function (this: FastifyInstance, answerer: ExchangeAnswerer) {
      (forwardingIn(this).answerers as ExchangeAnswerer[]).push(answerer)
    })
    fastify.decorateRequest('forwardSocket', function (this: FastifyRequest, socket, given = {}) {
      forwardSocket(forwardingIn(this.server), this, socket, given)
    })
  }
}

function forwardingOf (
  fastify: FastifyInstance, options: ForwardPluginOptions
): Omit<Forwarding, 'listeners' | 'answerers'> {
  const { allow = 'public', via, ca, hosts = {}, http2 = true, timeouts = {}, pseudonym, lookup } = options
  if (pseudonym !== undefined && !PSEUDONYM.test(pseudonym)) {
    throw new FST_PROX_INVALID_OPTION('pseudonym', 'a token', show(pseudonym))
  }
  const own = ownAddresses(fastify)
  const tls = new UpstreamTls(ca, hosts)
  const dialer = new Dialer({
    guard: new AddressGuard(allow, own), proxyGuard: new AddressGuard(() => true, own), tls, lookup
  })
  const connector = new Connector({ dialer, tls, timeout: milliseconds('connect', timeouts.connect, 10_000) })
  return {
    connector,
    upstreams: new Upstreams(connector, http2),
    chooseProxy: proxyChooser(via),
    pseudonym: pseudonym ?? `fastify-prox-${randomBytes(6).toString('hex')}`,
    headersTimeout: milliseconds('headers', timeouts.headers, 60_000),
    bodyTimeout: milliseconds('body', timeouts.body, 300_000)
  }
}

function milliseconds (name: string, value: number | undefined, byDefault: number): number {
  if (value === undefined) return byDefault
  if (!Number.isInteger(value) || value < 0 || value > 2_147_483_647) {
    throw new FST_PROX_INVALID_OPTION(`timeouts.${name}`, 'milliseconds', show(value))
  }
  return name === 'connect' && value === 0 ? 2_147_483_647 : value
}

export const fastifyProxForward = fp(plugin, { fastify: '5.x', name: 'fastify-prox-forward' })
