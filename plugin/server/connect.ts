/**
 * CONNECT (RFC 9110 9.3.6) as a request of Fastify's: hooks see it and may answer it, it is logged, and its request id
 * stands in the log lines of the tunnel that it opens.
 */
import { ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse, Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ConnectContext, OnConnect, ProxyCredentials, ProxyResolver, RawRequest } from '../../types/options'
import { askForCredentials, ChallengeError, readCredentials } from '../http/credentials'
import {
  FST_PROX_BAD_AUTHORITY, FST_PROX_BAD_DECISION, FST_PROX_CLOSING, FST_PROX_CONNECT_REFUSED, FST_PROX_CONNECT_WITH_CONTENT,
  FST_PROX_TOO_MANY_TUNNELS, show
} from '../errors'
import { redactHost, stripHopByHop } from '../http/headers'
import { whenAnswered } from '../compat/pipelining'
import type { PrivateRoutes, PrivateSection } from '../routing/private-routes'
import { parseAuthority, redactTarget, redactUserinfo } from '../http/target'
import { isHttp2 } from '../http/version'
import { linger } from '../tunnel/lingering-close'
import { socketOf } from '../tunnel/stream-socket'
import type { Tunnel } from '../tunnel/tunnel'
import type { Tunnels } from '../tunnel/tunnels'

/** What a client that met a limit is told to wait, in seconds. */
const RETRY_AFTER = 5

const NOTHING = Buffer.alloc(0)

const kConnect = Symbol('fastify-prox.connect')

interface PendingConnect {
  /** What is to become a tunnel. */
  readonly socket: Socket
  readonly head: Buffer
  /** Tells the client that the tunnel is open. */
  readonly grant: () => void
  tunnel: Tunnel | null
}

type ConnectRequest = RawRequest & { [kConnect]?: PendingConnect }

export interface ConnectSettings {
  readonly resolver: ProxyResolver
  readonly onConnect: OnConnect | undefined
}

export class Connect {
  readonly #fastify: FastifyInstance
  readonly #routes: PrivateRoutes
  readonly #section: PrivateSection
  #tunnels: Tunnels | undefined
  readonly #settings: ConnectSettings
  /** Connections of HTTP/2 that tunnels came over. */
  readonly #sessions = new Set<Http2Session>()
  #closing = false

  constructor (fastify: FastifyInstance, routes: PrivateRoutes, settings: ConnectSettings) {
    this.#fastify = fastify
    this.#routes = routes
    this.#settings = settings
    this.#section = routes.addSection('CONNECT')
    if (!fastify.supportedMethods.includes('CONNECT')) fastify.addHttpMethod('CONNECT')
    fastify.register(async (child) => {
      child.addHook('onRoute', (route) => routes.assign(this.#section, route))
      child.route({
        method: 'CONNECT',
        url: '/',
        handler: this.#open,
        // The application may set its own when this route is there already.
        errorHandler: (err, request, reply) => fastify.errorHandler(err, request, reply),
        schema: { hide: true } as object
      })
    })
  }

  /** Where tunnels go from now on. */
  serve (tunnels: Tunnels): void {
    this.#tunnels = tunnels
  }

  /** Refuses every CONNECT from now on, and resolves when the tunnels have ended. */
  async close (): Promise<void> {
    this.#closing = true
    await this.#tunnels?.close()
    // Clients keep such a connection for their next tunnel, and Fastify would wait for it.
    for (const session of this.#sessions) session.close()
  }

  /** The listener of a server's 'connect' event, for HTTP/1.1 and HTTP/2. */
  readonly listener = (raw: RawRequest, ...[first, head]: [Socket, Buffer] | [Http2ServerResponse]): void => {
    const socket = isHttp2(raw) ? socketOf(raw) : first as Socket
    socket.on('error', ignore)
    this.#tunnels!.hold(socket)
    if (isHttp2(raw)) this.#routeHttp2(raw, first as Http2ServerResponse, socket)
    else whenAnswered(socket, () => this.#routeHttp1(raw, socket, head!))
  }

  #routeHttp1 (raw: IncomingMessage, socket: Socket, head: Buffer): void {
    const response = new ServerResponse(raw)
    const pending: PendingConnect = { socket, head, grant: () => answerOpen(response), tunnel: null }
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.on('finish', () => {
      response.detachSocket(socket)
      if (pending.tunnel === null) linger(socket)
    })
    this.#route(raw, raw.url!, response, pending)
  }

  /** The stream stays open behind the head of the response (RFC 9113 8.5). */
  #routeHttp2 (raw: Http2ServerRequest, response: Http2ServerResponse, socket: Socket): void {
    const session = raw.stream.session!
    if (!this.#sessions.has(session)) {
      this.#sessions.add(session)
      session.on('close', () => this.#sessions.delete(session))
    }
    this.#route(raw, raw.authority, response, { socket, head: NOTHING, grant: () => { response.writeHead(200) }, tunnel: null })
  }

  #route (raw: ConnectRequest, target: string, response: unknown, pending: PendingConnect): void {
    raw[kConnect] = pending
    redactHost(raw)
    this.#routes.routeTo(this.#section, raw, '/', redactUserinfo(target))
    this.#fastify.routing(raw as IncomingMessage, response as ServerResponse)
  }

  readonly #open = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { raw, log, id } = request
    const pending = (raw as ConnectRequest)[kConnect]!
    const { socket, head, grant } = pending
    const readings = readCredentials(raw)
    const asked = this.#read(raw, readings[0] ?? null)
    const context = { ...asked }
    try {
      context.credentials = await askForCredentials(this.#settings.resolver, asked, readings)
    } catch (err) {
      if (err instanceof ChallengeError) reply.header('proxy-authenticate', err.challenge)
      throw err
    }
    judge(await this.#settings.onConnect?.(context), context.authority)
    if (this.#closing) throw new FST_PROX_CLOSING()
    if (socket.destroyed) {
      log.info(`tunnel to ${context.authority}: the client left before it was open`)
      return reply.hijack()
    }

    const { authority, hostname, port, credentials, remoteAddress } = context
    try {
      const target = { hostname, port }
      pending.tunnel = this.#tunnels!.admit(socket, { id, log, authority, credentials, remoteAddress, target })
      reply.hijack()
      grant()
      pending.tunnel.start(head)
    } catch (err) {
      if (err instanceof FST_PROX_TOO_MANY_TUNNELS) reply.header('retry-after', RETRY_AFTER)
      throw err
    }
    return reply
  }

  #read (raw: RawRequest, credentials: ProxyCredentials | null): ConnectContext {
    const { headers } = raw
    const target = raw.url!
    const authority = parseAuthority(target)
    if (authority === null) throw new FST_PROX_BAD_AUTHORITY(redactTarget(target))
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
      throw new FST_PROX_CONNECT_WITH_CONTENT()
    }
    stripHopByHop(raw)
    const { hostname, port } = authority
    return {
      raw, hostname, port, credentials, authority: `${hostname}:${port}`, remoteAddress: raw.socket.remoteAddress, tunnel: null
    }
  }
}

/** 200 without the fields that a tunnel cannot have (RFC 9110 9.3.6) and those that mean nothing here. */
function answerOpen (response: ServerResponse): void {
  response.sendDate = false
  for (const name of ['connection', 'content-length', 'transfer-encoding']) response.removeHeader(name)
  response.writeHead(200, 'Connection Established').end()
}

/** @throws for every decision but nothing, so that a policy with a mistake in it opens no tunnels */
function judge (decision: unknown, authority: string): void {
  if (decision === undefined || decision === null) return
  if (!Number.isInteger(decision) || Number(decision) < 400 || Number(decision) > 599) {
    throw new FST_PROX_BAD_DECISION(show(decision))
  }
  throw Object.assign(new FST_PROX_CONNECT_REFUSED(authority), { statusCode: decision })
}

function ignore (): void {}
