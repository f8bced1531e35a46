/** Reports how tunnels end: the log line, the events, and whether it was the certificate that the client refused. */
import { LRUCache } from 'lru-cache'
import type { CertificateAuthority } from '../../types/ca'
import type { HandshakeFailed, TunnelClosed, TunnelEvent } from '../../types/events'
import { CLIENT_CLOSED } from './endings'
import type { TunnelEnd } from './endings'
import { handshakeFailed, tunnelClosed } from './events'
import type { Tunnel } from './tunnel'

/** Why a TLS handshake failed. */
export interface HandshakeFailure {
  /** OpenSSL's, the operating system's or this package's error code. */
  readonly code: string
  /** Whether the client does not accept the certificate: it sent an alert that says so, or left when it had seen it. */
  readonly refused: boolean
  /** In words, for the log. */
  readonly reason: string
}

/** Alerts about a certificate (RFC 8446 6.2), in the codes that Node makes of OpenSSL's reasons. */
const REFUSAL = new RegExp('ALERT_(?:UNKNOWN_CA|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_UNKNOWN|' +
  'CERTIFICATE_EXPIRED|CERTIFICATE_REVOKED|ACCESS_DENIED)$')

/** A TLS 1.3 client that checks the certificate when OpenSSL is done with it, as those of Node do. */
export const LEFT_IN_HANDSHAKE: HandshakeFailure = {
  code: 'LEFT_IN_HANDSHAKE',
  refused: true,
  reason: 'the client left the TLS handshake, as one does that does not trust the CA'
}

/** The same client with TLS 1.2, where the server sees the handshake end before the client can refuse. */
const LEFT_AFTER_HANDSHAKE: HandshakeFailure = {
  code: 'LEFT_AFTER_HANDSHAKE',
  refused: true,
  reason: 'the client left right after the TLS handshake, as one does that does not trust the CA'
}

export function describeHandshakeFailure (err: NodeJS.ErrnoException): HandshakeFailure {
  const code = err.code ?? err.message
  const refused = REFUSAL.test(code)
  return { code, refused, reason: refused ? 'the client does not trust the CA' : `TLS handshake failed: ${code}` }
}

/**
 * What a TLS client that never sent a request has sent at most after its handshake: a close_notify alert in a record.
 */
const CLOSE_NOTIFY_LENGTH = 64

/** How soon a client leaves that does not accept the certificate, in milliseconds. */
const PROMPT = 1_000

/** Whether the client left as soon as it had seen the certificate, without an alert and without a request. */
function leftAfterHandshake ({ secured, ending, requests, socket }: Tunnel): boolean {
  return secured !== null && ending === CLIENT_CLOSED && requests === 0 &&
    socket.bytesRead - secured.bytesRead <= CLOSE_NOTIFY_LENGTH && Date.now() - secured.at < PROMPT
}

export function eventOf ({ request: { id, authority, remoteAddress } }: Tunnel): TunnelEvent {
  return { id, authority, remoteAddress }
}

/** How many pairs of client and host are remembered as having been warned of. */
const REFUSALS_MAX = 1_000

/** Tells the log and the subscribers of events how tunnels end. */
export class OutcomeReporter {
  readonly #ca: Pick<CertificateAuthority, 'name' | 'fingerprint256'>
  readonly #refusals = new LRUCache<string, true>({ max: REFUSALS_MAX })

  /** @param ca what the log calls it, and how a person recognises its certificate */
  constructor (ca: Pick<CertificateAuthority, 'name' | 'fingerprint256'>) {
    this.#ca = ca
  }

  /** Publishes that a handshake failed, and returns the end of its tunnel. */
  handshakeFailed (tunnel: Tunnel, failure: HandshakeFailure): TunnelEnd {
    const { code, refused, reason } = failure
    const { servername, request } = tunnel
    const { name, fingerprint256 } = this.#ca
    const host = servername ?? request.target.hostname
    const advice = refused
      ? `add its certificate to what the client trusts, or have onConnect answer pass() for ${host}`
      : null
    if (handshakeFailed.hasSubscribers) {
      const message: HandshakeFailed = { ...eventOf(tunnel), servername, code, refused, advice }
      handshakeFailed.publish(message)
    }
    if (advice === null) return { code, reason, level: 'info' }
    return {
      code,
      reason: `${reason} '${name}': ${advice}`,
      level: this.#isFirstRefusal(`${request.remoteAddress} ${host}`) ? 'warn' : 'debug',
      detail: { fingerprint256 }
    }
  }

  /** Whether it is news that a client does not accept the certificate of a host: the log warns of it once. */
  #isFirstRefusal (clientAndHost: string): boolean {
    if (this.#refusals.has(clientAndHost)) return false
    this.#refusals.set(clientAndHost, true)
    return true
  }

  /** Writes the log line of a tunnel whose socket has closed, and publishes its end. */
  closed (tunnel: Tunnel): void {
    const { socket, request, requests, passed, openedAt } = tunnel
    const ending = leftAfterHandshake(tunnel) ? this.handshakeFailed(tunnel, LEFT_AFTER_HANDSHAKE) : tunnel.ending
    const { code, reason, level, detail } = ending
    const { bytesRead, bytesWritten } = socket
    const account = { code, requests, bytesRead, bytesWritten, durationMs: Date.now() - openedAt }
    request.log[level]({ ...account, ...detail }, `tunnel to ${request.authority} closed: ${reason}`)
    if (tunnelClosed.hasSubscribers) {
      const message: TunnelClosed = { ...eventOf(tunnel), passed, reason, ...account }
      tunnelClosed.publish(message)
    }
  }
}
