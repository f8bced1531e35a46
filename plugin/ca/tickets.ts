/**
 * Derives the keys of TLS session tickets (RFC 5077, RFC 8446 4.6.1) from the private key of the authority: every
 * process that has the CA, the same one after a restart as well, resumes the sessions of the others.
 */
import { createSecretKey, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** How long a key is used, in milliseconds. Periods count from the epoch, so that all processes have the same ones. */
export const TICKET_PERIOD = 12 * 3_600_000

/** The length of Node's `ticketKeys`: name, HMAC key and AES key of 16 bytes each. */
const LENGTH = 48

/** The ticket keys of one period. */
export interface TicketKeys {
  /** The key for a certificate with these names. */
  keyFor (names: readonly string[]): Buffer
  /** When the period ends; milliseconds since the epoch. */
  readonly until: number
}

/**
 * Derives ticket keys for a time, in milliseconds since the epoch.
 *
 * @param key the private key of the authority.
 */
export function ticketKeys (key: KeyObject): (now: number) => TicketKeys {
  // Derived once, so that what stays in memory beside the private key can do nothing but tickets.
  const material = key.export({ type: 'pkcs8', format: 'der' })
  const secret = createSecretKey(Buffer.from(hkdfSync('sha256', material, '', 'fastify-prox tickets', 32)))
  return (now) => {
    const period = Math.floor(now / TICKET_PERIOD)
    return {
      keyFor: (names) => Buffer.from(hkdfSync('sha256', secret, '', `${period} ${names.join(' ')}`, LENGTH)),
      until: (period + 1) * TICKET_PERIOD
    }
  }
}
