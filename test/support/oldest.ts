/** Tells whether the tests run with the oldest Fastify that is supported, which does some things otherwise. */
import Fastify from 'fastify'
import type { FastifyServerOptions } from 'fastify'

export const OLDEST = Fastify().version === '5.0.0'

/** Settings of the router, where this Fastify takes them. */
export function router (options: object): FastifyServerOptions {
  return (OLDEST ? options : { routerOptions: options }) as FastifyServerOptions
}
