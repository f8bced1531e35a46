/** Dials hosts directly, or by an upstream proxy: an HTTP proxy's tunnel (RFC 9110 9.3.6), or SOCKS5 (RFC 1928). */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { SocksClient } from 'socks'
import type { DialTarget, Lookup } from '../types/net'
import { FST_PROX_UPSTREAM_PROXY, FST_PROX_UPSTREAM_TIMEOUT } from '../plugin/errors'
import { dial, reason, resolveAllowed } from './dial'
import type { Dialled } from './dial'
import type { AddressGuard } from './guard'
import type { UpstreamTls } from './tls'
import { displayed, proxyAuthorization } from './via'

export interface DialerSettings {
  readonly guard: AddressGuard
  /** Refuses our own addresses alone: an upstream proxy is where the operator says. */
  readonly proxyGuard: AddressGuard
  /** Speaks to `https:` proxies. */
  readonly tls: Pick<UpstreamTls, 'secure'>
  readonly lookup: Lookup | undefined
}

export interface DialLimits {
  /** By the clock of `performance.now()`. */
  readonly deadline: number
  /** Whether our side stays open when the host has ended its own. */
  readonly allowHalfOpen?: boolean
  /** Gives up, and destroys the socket at whatever time it is aborted. */
  readonly signal?: AbortSignal
}

export class Dialer {
  readonly #settings: DialerSettings

  constructor (settings: DialerSettings) {
    this.#settings = settings
  }

  /**
   * Resolves with a socket to the host.
   * @param proxy `null`: none
   * @throws FST_PROX_ADDRESS_REFUSED, FST_PROX_UPSTREAM_ UNRESOLVED, UNREACHABLE, TIMEOUT, TLS and PROXY
   */
  async dial (target: DialTarget, proxy: URL | null, limits: DialLimits): Promise<Dialled> {
    const { guard, lookup } = this.#settings
    if (proxy === null) return await dial(target, { ...limits, guard, lookup, timeout: left(limits.deadline) })
    if (proxy.protocol === 'socks5:') {
      return await this.#bySocks(proxy, target, await this.#addressOf(target, limits), limits)
    }
    await this.#assertLiteralAllowed(target)
    if (proxy.protocol === 'socks5h:') return await this.#bySocks(proxy, target, target.hostname, limits)
    const dialled = await this.#toProxy(proxy, limits)
    return { ...dialled, socket: await byTunnel(dialled.socket, proxy, target, left(limits.deadline)) }
  }

  /** Resolves with a socket to an HTTP proxy that takes requests for the host in absolute-form (RFC 9112 3.2.2). */
  async dialProxy (target: DialTarget, proxy: URL, limits: DialLimits): Promise<Dialled> {
    await this.#assertLiteralAllowed(target)
    return await this.#toProxy(proxy, limits)
  }

  /** The proxy resolves the name, and has to guard what it resolves to. What is an address already is checked here. */
  async #assertLiteralAllowed (target: DialTarget): Promise<void> {
    const literal = /^(?:.*\.)?localhost\.?$/i.test(target.hostname) ? '127.0.0.1' : target.hostname
    if (isIP(literal) !== 0) await this.#settings.guard.assertAllowed([literal], target)
  }

  async #addressOf (target: DialTarget, limits: DialLimits): Promise<string> {
    const { guard, lookup } = this.#settings
    const [first] = await resolveAllowed(target, { ...limits, guard, lookup, timeout: left(limits.deadline) })
    return first!.address
  }

  async #toProxy (proxy: URL, limits: DialLimits): Promise<Dialled> {
    const { proxyGuard, lookup, tls } = this.#settings
    const hostname = proxy.hostname.replace(/^\[(.*)\]$/, '$1')
    const defaultPort = proxy.protocol === 'https:' ? 443 : proxy.protocol === 'http:' ? 80 : 1080
    const port = proxy.port === '' ? defaultPort : Number(proxy.port)
    const timeout = left(limits.deadline)
    const dialled = await dial({ hostname, port }, { ...limits, guard: proxyGuard, lookup, timeout })
    if (proxy.protocol !== 'https:') return dialled
    const secured = await tls.secure(dialled.socket, { hostname, port }, ['http/1.1'], left(limits.deadline))
    return { ...dialled, socket: secured }
  }

  async #bySocks (proxy: URL, target: DialTarget, host: string, limits: DialLimits): Promise<Dialled> {
    const dialled = await this.#toProxy(proxy, limits)
    const { username, password } = proxy
    try {
      await SocksClient.createConnection({
        command: 'connect',
        destination: { host, port: target.port },
        timeout: left(limits.deadline),
        existing_socket: dialled.socket,
        proxy: {
          host: proxy.hostname,
          port: 1080,
          type: 5,
          ...(username !== '' && { userId: decodeURIComponent(username), password: decodeURIComponent(password) })
        }
      })
    } catch (err) {
      dialled.socket.destroy()
      throw new FST_PROX_UPSTREAM_PROXY(displayed(proxy), `${target.hostname}:${target.port}`, (err as Error).message)
    }
    return dialled
  }
}

async function byTunnel (socket: Socket, proxy: URL, target: DialTarget, timeout: number): Promise<Socket> {
  const authority = `${isIP(target.hostname) === 6 ? `[${target.hostname}]` : target.hostname}:${target.port}`
  const credentials = proxyAuthorization(proxy)
  const request = httpRequest({
    method: 'CONNECT',
    path: authority,
    headers: ['Host', authority, ...(credentials === null ? [] : ['Proxy-Authorization', credentials])],
    createConnection: () => socket
  })
  return await new Promise<Socket>((resolve, reject) => {
    const fail = (err: Error): void => {
      clearTimeout(timer)
      reject(err)
      request.destroy()
      socket.destroy()
    }
    const timer = setTimeout(() => fail(new FST_PROX_UPSTREAM_TIMEOUT(displayed(proxy), 'CONNECT')), timeout)
    const refused = (why: string): void => fail(new FST_PROX_UPSTREAM_PROXY(displayed(proxy), authority, why))
    request.on('connect', (response: IncomingMessage, _socket: Duplex, head: Buffer) => {
      if (response.statusCode !== 200) return refused(`it answers ${response.statusCode} ${response.statusMessage}`)
      clearTimeout(timer)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    request.on('response', (response) => refused(`it answers ${response.statusCode} ${response.statusMessage}`))
    request.on('error', (err) => refused(reason(err)))
    request.end()
  })
}

/** Milliseconds until a deadline, one at least. */
export function left (deadline: number): number {
  return Math.max(1, deadline - performance.now())
}
