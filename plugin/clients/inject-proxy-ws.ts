/** Proxied WebSockets without sockets and certificates: what `fastify.injectWS` is for those that are not proxied. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type * as ws from 'ws'
import type { InjectProxyWS } from '../../types/clients'
import { FST_PROX_NO_WEBSOCKETS } from '../errors'
import { duplexPair } from './duplex-pair'
import { readUrl } from './injected-request'
import type { RouteInjected } from './injected-request'

const SCHEMES = ['ws:', 'wss:', 'http:', 'https:']

/** @param websockets the option of the plugin */
export function webSocketInjector (fastify: FastifyInstance, route: RouteInjected, websockets: boolean): InjectProxyWS {
  return async (target, { headers = {}, remoteAddress = '127.0.0.1' } = {}, { onInit, onOpen } = {}) => {
    const url = readUrl(target, SCHEMES)
    url.protocol = url.protocol.replace('http', 'ws')
    await fastify.ready()
    if (!websockets || !fastify.hasDecorator('websocketServer')) throw new FST_PROX_NO_WEBSOCKETS()

    const [clientEnd, serverEnd] = duplexPair()
    Object.assign(serverEnd, { remoteAddress })
    // Reads the request, and never listens.
    const server = createServer()
    server.on('upgrade', (raw, socket, head) => {
      const asked = new URL(url)
      asked.protocol = url.protocol.replace('ws', 'http')
      // @fastify/websocket listens to Fastify's server, and takes what is for a route.
      route(raw, asked, true).then(() => fastify.server.emit('upgrade', raw, socket, head))
    })
    server.emit('connection', serverEnd)

    const { 'sec-websocket-protocol': protocols = '', ...fields } = headers
    // Loaded late: servers that are not under test have no need of it.
    const { WebSocket } = require('ws') as typeof ws
    const socket = new WebSocket(url, protocols.split(/[, ]+/).filter(Boolean), {
      headers: fields,
      createConnection: (() => clientEnd) as unknown as NonNullable<ws.ClientOptions['createConnection']>,
      perMessageDeflate: false
    })
    onInit?.(socket)
    await once(socket, 'open')
    onOpen?.(socket)
    return socket
  }
}
