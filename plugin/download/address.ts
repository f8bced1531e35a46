/** Where clients reach the proxy itself, as far as this server can know. */
import { Server as TLSServer } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import type { ProxyCredentials } from '../../types/options'
import { urlHost } from '../http/host'

export interface ProxyAddress {
  /** `'https'` when clients speak TLS to the proxy itself. */
  readonly scheme: 'http' | 'https'
  /** Name or IP address; an IPv6 address without brackets. */
  readonly hostname: string
  readonly port: number
  /** `host:port`, an IPv6 address in brackets. */
  readonly authority: string
  /** What goes into `HTTP_PROXY`. */
  readonly url: string
}

/** Shown to people in place of an address that nobody can know, that of a proxy on a unix socket. */
export const UNKNOWN_ADDRESS: ProxyAddress = {
  scheme: 'http', hostname: 'PROXY', port: 8080, authority: 'PROXY:8080', url: 'http://PROXY:8080'
}

/** Whether another device may reach the address: it is known, and not of this machine alone. */
export function isReachable ({ hostname }: ProxyAddress): boolean {
  return hostname !== UNKNOWN_ADDRESS.hostname && !/^(?:127\.|::1$|localhost$)/.test(hostname)
}

/** What goes into `HTTP_PROXY` for a client that has to say who it is. */
export function urlWithCredentials (proxy: ProxyAddress, credentials: ProxyCredentials | null): string {
  if (credentials === null) return proxy.url
  const { username, password } = credentials
  return `${proxy.scheme}://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${proxy.authority}`
}

function proxyAddress (request: FastifyRequest, hostname: string, port: number): ProxyAddress {
  const scheme = proxyScheme(request)
  const authority = `${urlHost(hostname)}:${port}`
  return { scheme, hostname, port, authority, url: `${scheme}://${authority}` }
}

/** The server tells, not the request: a request out of a tunnel came by TLS whatever the proxy itself speaks. */
function proxyScheme (request: FastifyRequest): 'http' | 'https' {
  return request.server.server instanceof TLSServer ? 'https' : 'http'
}

/**
 * The address that the client's connection ends at; `null` on a unix socket. Behind a port mapping it is not the
 * one that the client asked for.
 */
export function reachedAddress (request: FastifyRequest): ProxyAddress | null {
  const { localAddress, localPort } = request.raw.socket
  if (localAddress === undefined || localPort === undefined) return null
  // A dual-stack socket shows an IPv4 client's end as an IPv4-mapped address (RFC 4291 2.5.5.2).
  return proxyAddress(request, localAddress.replace(/^::ffff:(?=\d+\.)/i, ''), localPort)
}

const AUTHORITY = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::(?<port>\d{1,5}))?$/i

/**
 * The address in the Host of a request that was sent to the server itself, else the one its connection ends at. For a
 * blank Host, Fastify 5.0 has `undefined`.
 */
export function askedAddress (request: FastifyRequest): ProxyAddress | null {
  const { v6, name, port } = AUTHORITY.exec(request.host || '')?.groups ?? {}
  const hostname = v6 ?? name
  if (hostname === undefined) return reachedAddress(request)
  return proxyAddress(request, hostname, Number(port ?? (proxyScheme(request) === 'https' ? 443 : 80)))
}
