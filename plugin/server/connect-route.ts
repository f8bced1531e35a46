/**
 * CONNECT (RFC 9110 9.3.6) as a route of Fastify's: hooks see it and may answer it, it is logged, errors are answered
 * by the error handler, and its request id stands in the log lines of the tunnel that it opens.
 */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { TunnelRefused } from '../../types/events'
import type { ConnectContext, ProxyCredentials, RawRequest } from '../../types/options'
import { FST_PROX_BAD_AUTHORITY, FST_PROX_CLOSING, FST_PROX_CONNECT_WITH_CONTENT } from '../errors'
import { ChallengeError, readCredentials } from '../http/credentials'
import { stripHopByHop } from '../http/headers'
import { parseAuthority, redactTarget } from '../http/target'
import type { Authority } from '../http/target'
import type { PrivateRoutes } from '../routing/private-routes'
import { tunnelRefused } from '../tunnel/events'
import type { PassDecision } from '../tunnel/pass'
import type { TunnelRequest } from '../tunnel/tunnel'
import type { AllowedConnect, ConnectPolicy } from './policy'

/** What a client that met a limit is told to wait, in seconds. */
const RETRY_AFTER = 5

/** A CONNECT that waits for its answer. */
export interface PendingConnect {
  /** What becomes the tunnel. */
  readonly socket: Socket
  /** The error to answer with when there are too many tunnels. */
  readonly refusal: Error | null
  readonly policy: ConnectPolicy
  /** Whether the server takes no more tunnels. */
  readonly isClosing: boolean
  /** Dials the host that the tunnel is passed through to; `null`: the client has left. */
  dial (decision: PassDecision, target: Authority): Promise<Socket | null>
  /** Tells the client that the tunnel is open, and serves it: by interception, or what was dialled. */
  establish (request: TunnelRequest, upstream: Socket | null): void
}

const kPending = Symbol('fastify-prox.connect')

type ConnectRequest = RawRequest & { [kPending]?: PendingConnect }

/** Prepares a CONNECT for Fastify's router. */
export type RouteConnect = (raw: RawRequest, target: string, pending: PendingConnect) => void

/** Adds the route, which no other request can reach. */
export function addConnectRoute (routes: PrivateRoutes): RouteConnect {
  const section = routes.addRoute('connect', { handler: openTunnel, ...refusalHooks() })
  return (raw, target, pending) => {
    (raw as ConnectRequest)[kPending] = pending
    routes.routeTo(section, raw, target)
  }
}

/** The error to answer a CONNECT with when there are too many tunnels; to be asked in an `onRequest` hook. */
export function limitRefusal (raw: RawRequest, reply: FastifyReply): Error | undefined {
  const { refusal = null } = (raw as ConnectRequest)[kPending] ?? {}
  if (refusal === null) return undefined
  reply.header('retry-after', RETRY_AFTER)
  return refusal
}

type RefusalHooks = Required<Pick<RouteShorthandOptions, 'onError' | 'onResponse'>>

/** Publish each CONNECT that is answered by a hook of the application, or by an error. */
function refusalHooks (): RefusalHooks {
  const codes = new WeakMap<RawRequest, string>()
  return {
    onError ({ raw }, _reply, { code }, done) {
      if (typeof code === 'string') codes.set(raw, code)
      done()
    },
    onResponse ({ raw, id, originalUrl: authority }, { statusCode }, done) {
      // What opened a tunnel has been answered as well.
      if (tunnelRefused.hasSubscribers && statusCode >= 300) {
        const { remoteAddress } = raw.socket
        const message: TunnelRefused = { id, authority, remoteAddress, statusCode, code: codes.get(raw) ?? null }
        tunnelRefused.publish(message)
      }
      done()
    }
  }
}

async function openTunnel ({ raw, log, id }: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const pending = (raw as ConnectRequest)[kPending]!
  const { policy, socket } = pending
  const readings = readCredentials(raw)
  const asked = readConnect(raw, readings[0] ?? null)
  let allowed: AllowedConnect
  try {
    allowed = await policy.assertAllowed(asked, readings)
  } catch (err) {
    if (err instanceof ChallengeError) reply.header('proxy-authenticate', err.challenge)
    throw err
  }
  const { context, decision } = allowed
  const upstream = decision === null ? null : await pending.dial(decision, context)
  if (pending.isClosing || socket.destroyed) upstream?.destroy()
  if (pending.isClosing) throw new FST_PROX_CLOSING()
  reply.hijack()
  if (socket.destroyed) {
    log.info(`tunnel to ${context.authority}: the client left before it was open`)
    return reply
  }
  const { authority, hostname, port, credentials, remoteAddress } = context
  const target = { hostname, port }
  const authorize = policy.forTunnel(context, decision)
  pending.establish({ id, log, authority, credentials, remoteAddress, target, authorize }, upstream)
  return reply
}

/** @throws FST_PROX_BAD_AUTHORITY, FST_PROX_CONNECT_WITH_CONTENT */
function readConnect (raw: RawRequest, credentials: ProxyCredentials | null): ConnectContext {
  const { headers, socket: { remoteAddress } } = raw
  const target = raw.url!
  const parsed = parseAuthority(target)
  if (parsed === null) throw new FST_PROX_BAD_AUTHORITY(redactTarget(target))
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    throw new FST_PROX_CONNECT_WITH_CONTENT()
  }
  stripHopByHop(raw)
  const { hostname, port } = parsed
  const authority = `${hostname}:${port}`
  return { raw, hostname, port, authority, servername: null, credentials, remoteAddress, tunnel: null }
}
