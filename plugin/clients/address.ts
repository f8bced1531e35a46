/** Where clients of this machine reach the server. */
import { isIPv6 } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { ProxyAccess } from '../../types/clients'
import { FST_PROX_NOT_LISTENING, FST_PROX_UNIX_SOCKET } from '../errors'

export interface Address {
  readonly scheme: 'http' | 'https'
  /** `host:port`, the port always: where it is missing, curl takes 1080. */
  readonly authority: string
}

const UNSPECIFIED: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
const LOOPBACK = /^(?:127\.|::1$)/

/**
 * Finds an address that the server listens on.
 * @param caller the method that a message names
 * @throws FST_PROX_NOT_LISTENING before the server listens, FST_PROX_UNIX_SOCKET when it has no port
 */
export function reachableAddress (fastify: FastifyInstance, { hostname }: ProxyAccess, caller: string): Address {
  const addresses = fastify.addresses()
  if (addresses.length === 0) throw new FST_PROX_NOT_LISTENING(caller)
  const ports = addresses.filter((address) => typeof address !== 'string')
  // Of the two that 'localhost' stands for, the one that every client can read.
  const listening = ports.find(({ family }) => family === 'IPv4') ?? ports[0]
  if (listening === undefined) throw new FST_PROX_UNIX_SOCKET(caller)

  const address = UNSPECIFIED[listening.address] ?? listening.address
  const tls = fastify.server instanceof TlsServer
  // The certificate of a server of this machine has its name rather than its address.
  const host = hostname ?? (tls && LOOPBACK.test(address) ? 'localhost' : address)
  return { scheme: tls ? 'https' : 'http', authority: `${isIPv6(host) ? `[${host}]` : host}:${listening.port}` }
}
