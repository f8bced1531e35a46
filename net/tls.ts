/** TLS to upstream hosts. Certificates are verified, unless the host has `rejectUnauthorized: false` of its own. */
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, createSecureContext, rootCertificates } from 'node:tls'
import * as tls from 'node:tls'
import type { PeerCertificate, SecureContext, TLSSocket } from 'node:tls'
import { LRUCache } from 'lru-cache'
import type { ForwardHost, Pem } from '../types/forward'
import { reason } from './dial'
import { FST_PROX_UPSTREAM_TIMEOUT, FST_PROX_UPSTREAM_TLS } from '../plugin/errors'

interface HostSettings {
  readonly context: SecureContext
  readonly rejectUnauthorized: boolean
}

export interface SecureTarget {
  readonly hostname: string
  readonly port: number
}

export class UpstreamTls {
  readonly #default: HostSettings
  readonly #hosts = new Map<string, HostSettings>()
  /** Sessions to resume, of hosts that were verified. */
  readonly #sessions = new LRUCache<string, Buffer>({ max: 500 })

  /** @throws what `tls.createSecureContext` throws for certificates and keys that are none */
  constructor (ca: Pem | Pem[] | undefined, hosts: Record<string, ForwardHost>) {
    this.#default = settingsOf({}, ca)
    for (const [name, host] of Object.entries(hosts)) this.#hosts.set(name.toLowerCase(), settingsOf(host, ca))
  }

  /** @throws FST_PROX_UPSTREAM_TLS, FST_PROX_UPSTREAM_TIMEOUT */
  async secure (socket: Duplex, { hostname, port }: SecureTarget, alpn: string[], timeout: number): Promise<TLSSocket> {
    const authority = `${hostname}:${port}`
    const { context, rejectUnauthorized } = this.#hosts.get(authority) ?? this.#hosts.get(hostname) ?? this.#default
    const key = `${authority} ${alpn.join()}`
    const secured = connect({
      socket,
      host: hostname,
      ...(isIP(hostname) === 0 && { servername: hostname }),
      secureContext: context,
      ALPNProtocols: alpn,
      session: this.#sessions.get(key),
      // Checked below, where the certificate can still be described; nothing is written before.
      rejectUnauthorized: false
    })
    let trusted = false
    let session: Buffer | undefined
    secured.on('session', (ticket) => {
      if (trusted) this.#sessions.set(key, ticket)
      else session = ticket
    })
    await new Promise<void>((resolve, reject) => {
      const settle = (err?: Error): void => {
        clearTimeout(timer)
        secured.off('error', onError).off('close', onClose).off('secureConnect', onSecure)
        if (err === undefined) return resolve()
        this.#sessions.delete(key)
        secured.on('error', () => {})
        secured.destroy()
        socket.destroy()
        reject(err)
      }
      const fail = (why: string): void => settle(new FST_PROX_UPSTREAM_TLS(authority, why))
      const onError = (err: NodeJS.ErrnoException): void => fail(reason(err))
      const onClose = (): void => fail('the connection was closed in the handshake')
      const onSecure = (): void => settle(secured.authorized || !rejectUnauthorized
        ? undefined
        : new FST_PROX_UPSTREAM_TLS(authority, describe(secured)))
      const timer = setTimeout(() => settle(new FST_PROX_UPSTREAM_TIMEOUT(authority, 'TLS handshake')), timeout)
      secured.on('error', onError).on('close', onClose).on('secureConnect', onSecure)
    })
    trusted = true
    if (session !== undefined) this.#sessions.set(key, session)
    return secured
  }
}

function settingsOf (host: ForwardHost, shared: Pem | Pem[] | undefined): HostSettings {
  const { rejectUnauthorized = true, ca, cert, key, passphrase } = host
  const added = [shared ?? [], ca ?? []].flat()
  const context = createSecureContext({
    minVersion: 'TLSv1.2', cert, key, passphrase, ...(added.length > 0 && { ca: [...trustedByNode(), ...added] })
  })
  return { context, rejectUnauthorized }
}

/** What Node trusts, with NODE_EXTRA_CA_CERTS and the system's store where Node can tell (22.15 on). */
function trustedByNode (): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => string[] }
  /* c8 ignore next: Node 22.15 on has the first, versions before it the second */
  return getCACertificates?.('default') ?? rootCertificates
}

/** Why a certificate is not trusted, and which it is. */
function describe (socket: TLSSocket): string {
  const certificate = socket.getPeerCertificate() as PeerCertificate | Record<string, never>
  const why = String(socket.authorizationError)
  if (certificate.subject === undefined) return why
  const { subject, issuer, valid_from: from, valid_to: to, subjectaltname = 'none' } = certificate as PeerCertificate
  const whose = `${nameOf(subject)} by ${nameOf(issuer)}, for ${subjectaltname}`
  return `${why}. The certificate is one of ${whose}, from ${from} to ${to}`
}

function nameOf ({ CN, O }: PeerCertificate['subject']): string {
  return `"${CN ?? O ?? ''}"`
}
