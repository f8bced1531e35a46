/**
 * Tells whether an application has no log.
 *
 * Relied on: the logger of a Fastify without one is its own child (abstract-logging).
 * Seen in: Fastify 5.0 to 5.12.
 * Without it: requests of applications without a log cost a little more.
 */
import type { FastifyBaseLogger } from 'fastify'

export function isSilent (log: FastifyBaseLogger): boolean {
  return log.child({}) === log
}
