/** Opens connections to upstream hosts: directly or by an upstream proxy, with TLS where the URL says so. */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { SocksClient } from 'socks'
import type { ExchangeConnection } from '../types/forward'
import { dial, reason, resolveAllowed } from '../net/dial'
import type { Dialled, Lookup } from '../net/dial'
import type { AddressGuard } from '../net/guard'
import { FST_PROX_UPSTREAM_PROXY, FST_PROX_UPSTREAM_TIMEOUT } from '../plugin/errors'
import type { Target } from './target'
import type { UpstreamTls } from './tls'
import { displayed, proxyAuthorization } from './via'

/** Where connections lead: requests with the same `key` can share them. */
export interface Route {
  readonly key: string
  readonly target: Target
  readonly proxy: URL | null
  /** Whether the proxy takes requests in absolute-form, rather than making a tunnel (RFC 9112 3.2.2). */
  readonly absoluteForm: boolean
}

export interface Connected {
  readonly socket: Socket | TLSSocket
  readonly info: Omit<ExchangeConnection, 'reused'>
}

export interface ConnectorSettings {
  readonly guard: AddressGuard
  /** Refuses our own addresses alone: an upstream proxy is where the operator says. */
  readonly proxyGuard: AddressGuard
  readonly tls: UpstreamTls
  /** Milliseconds. */
  readonly timeout: number
  readonly lookup: Lookup | undefined
}

/** @param tunnel whether a proxy has to make a tunnel in any case: WebSockets do not go in absolute-form */
export function routeTo (target: Target, proxy: URL | null, tunnel = false): Route {
  const absoluteForm = !tunnel && proxy !== null && target.scheme === 'http' && proxy.protocol.startsWith('http')
  // The credentials are part of it: what one user's connection may do, another's may not.
  const by = proxy === null ? '' : `${proxy.href} `
  const key = absoluteForm ? by : `${by}${target.scheme}://${target.hostname}:${target.port}`
  return { target, proxy, absoluteForm, key }
}

export class Connector {
  readonly #settings: ConnectorSettings

  constructor (settings: ConnectorSettings) {
    this.#settings = settings
  }

  /** @throws FST_PROX_ADDRESS_REFUSED and every FST_PROX_UPSTREAM_… but FAILED */
  async connect ({ target, proxy, absoluteForm }: Route, alpn: string[]): Promise<Connected> {
    const { tls, timeout } = this.#settings
    const deadline = performance.now() + timeout
    const dialled = await this.#dial(target, proxy, absoluteForm, deadline)
    if (target.scheme === 'http') return connected(dialled, 0, proxy)
    const begin = performance.now()
    const socket = await tls.secure(dialled.socket, target, alpn, left(deadline))
    return connected({ ...dialled, socket }, performance.now() - begin, proxy)
  }

  async #dial (target: Target, proxy: URL | null, absoluteForm: boolean, deadline: number): Promise<Dialled> {
    const { guard, lookup } = this.#settings
    if (proxy === null) return await dial(target, { guard, lookup, timeout: left(deadline) })
    if (proxy.protocol === 'socks5:') {
      return await this.#bySocks(proxy, target, await this.#addressOf(target, deadline), deadline)
    }
    // The proxy resolves the name, and has to guard what it resolves to. What is an address already is checked here.
    const literal = /^(?:.*\.)?localhost\.?$/i.test(target.hostname) ? '127.0.0.1' : target.hostname
    if (isIP(literal) !== 0) await guard.assertAllowed([literal], target)
    if (proxy.protocol === 'socks5h:') return await this.#bySocks(proxy, target, target.hostname, deadline)
    const dialled = await this.#toProxy(proxy, deadline)
    if (absoluteForm) return dialled
    return { ...dialled, socket: await byTunnel(dialled.socket, proxy, target, left(deadline)) }
  }

  async #addressOf (target: Target, deadline: number): Promise<string> {
    const { guard, lookup } = this.#settings
    const [first] = await resolveAllowed(target, { guard, lookup, timeout: left(deadline) })
    return first!.address
  }

  async #toProxy (proxy: URL, deadline: number): Promise<Dialled> {
    const { proxyGuard, lookup, tls } = this.#settings
    const hostname = proxy.hostname.replace(/^\[(.*)\]$/, '$1')
    const defaultPort = proxy.protocol === 'https:' ? 443 : proxy.protocol === 'http:' ? 80 : 1080
    const port = proxy.port === '' ? defaultPort : Number(proxy.port)
    const dialled = await dial({ hostname, port }, { guard: proxyGuard, lookup, timeout: left(deadline) })
    if (proxy.protocol !== 'https:') return dialled
    return { ...dialled, socket: await tls.secure(dialled.socket, { hostname, port }, ['http/1.1'], left(deadline)) }
  }

  async #bySocks (proxy: URL, target: Target, host: string, deadline: number): Promise<Dialled> {
    const dialled = await this.#toProxy(proxy, deadline)
    const { username, password } = proxy
    try {
      await SocksClient.createConnection({
        command: 'connect',
        destination: { host, port: target.port },
        timeout: left(deadline),
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

/** A tunnel of an HTTP proxy (RFC 9110 9.3.6). */
async function byTunnel (socket: Socket, proxy: URL, target: Target, timeout: number): Promise<Socket> {
  const authority = `${isIP(target.hostname) === 6 ? `[${target.hostname}]` : target.hostname}:${target.port}`
  const credentials = proxyAuthorization(proxy)
  const request = httpRequest({
    method: 'CONNECT',
    path: authority,
    headers: ['Host', authority, ...(credentials === null ? [] : ['Proxy-Authorization', credentials])],
    createConnection: () => socket,
    timeout
  })
  return await new Promise<Socket>((resolve, reject) => {
    const fail = (err: Error): void => {
      reject(err)
      request.destroy()
      socket.destroy()
    }
    const refused = (why: string): void => fail(new FST_PROX_UPSTREAM_PROXY(displayed(proxy), authority, why))
    request.on('connect', (response: IncomingMessage, _socket: Duplex, head: Buffer) => {
      if (response.statusCode !== 200) return refused(`it answers ${response.statusCode} ${response.statusMessage}`)
      socket.setTimeout(0)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    request.on('response', (response) => refused(`it answers ${response.statusCode} ${response.statusMessage}`))
    request.on('timeout', () => fail(new FST_PROX_UPSTREAM_TIMEOUT(displayed(proxy), 'CONNECT')))
    request.on('error', (err) => refused(reason(err)))
    request.end()
  })
}

function connected ({ socket, resolved, connected }: Dialled, secure: number, proxy: URL | null): Connected {
  const { remoteAddress, remotePort } = socket
  const secured = 'getProtocol' in socket ? socket as TLSSocket : null
  return {
    socket,
    info: {
      remoteAddress,
      remotePort,
      tlsVersion: secured?.getProtocol() ?? null,
      cipher: secured?.getCipher().standardName ?? null,
      alpn: secured?.alpnProtocol || null,
      via: proxy === null ? null : displayed(proxy),
      timings: { resolve: resolved, connect: connected, secure }
    }
  }
}

function left (deadline: number): number {
  return Math.max(1, deadline - performance.now())
}
