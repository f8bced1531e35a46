/**
 * Keys of TLS session tickets (RFC 5077, RFC 8446 4.6.1), derived from the private key of the authority: whoever
 * shares the CA, another process or the same one after a restart, resumes the sessions of the others.
 */
import { createSecretKey, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/** For how long a key is used, in milliseconds. Periods are counted from the epoch, so that they are everyone's. */
export const TICKET_PERIOD = 12 * 3_600_000

/** The size that Node's `ticketKeys` has: name, HMAC key and AES key of 16 bytes each. */
const LENGTH = 48

/** Keys for the contexts of a time. */
export interface TicketKeys {
  /** The key for a certificate with these names. */
  keyFor (names: readonly string[]): Buffer
  /** When the keys are replaced; milliseconds since the epoch. */
  readonly until: number
}

/** @param key the private key of the authority. */
export function ticketKeys (key: KeyObject): (now: number) => TicketKeys {
  // Extracted once: what stays in memory beside the private key is good for tickets only.
  const material = key.export({ type: 'pkcs8', format: 'der' })
  const secret = createSecretKey(Buffer.from(hkdfSync('sha256', material, '', 'fastify-prox tickets', 32)))
  return (now) => {
    const period = Math.floor(now / TICKET_PERIOD)
    return {
      keyFor: names => Buffer.from(hkdfSync('sha256', secret, '', `${period} ${names.join(' ')}`, LENGTH)),
      until: (period + 1) * TICKET_PERIOD
    }
  }
}
