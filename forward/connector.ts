/** Opens connections to upstream hosts: directly or by an upstream proxy, with TLS where the URL says so. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ExchangeConnection } from '../types/forward'
import type { Dialled } from '../net/dial'
import { left } from '../net/dialer'
import type { Dialer } from '../net/dialer'
import type { UpstreamTls } from '../net/tls'
import { displayed } from '../net/via'
import type { Target } from './target'

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
  readonly dialer: Dialer
  readonly tls: UpstreamTls
  /** Milliseconds. */
  readonly timeout: number
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
    const { dialer, tls, timeout } = this.#settings
    const deadline = performance.now() + timeout
    const dialled = absoluteForm
      ? await dialer.dialProxy(target, proxy!, { deadline })
      : await dialer.dial(target, proxy, { deadline })
    if (target.scheme === 'http') return connected(dialled, 0, proxy)
    const begin = performance.now()
    const socket = await tls.secure(dialled.socket, target, alpn, left(deadline))
    return connected({ ...dialled, socket }, performance.now() - begin, proxy)
  }
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
