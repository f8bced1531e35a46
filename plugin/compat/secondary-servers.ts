/**
 * The further servers of a Fastify instance. `listen` on 'localhost' opens one server per loopback address; Fastify
 * keeps all but the first where no public name leads, and forwards only 'upgrade' from them
 * (https://github.com/fastify/fastify, lib/server.js, `multipleBindings`).
 */
import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'

const DESCRIPTION = 'fastify.serverBindings'

/** To be called when the instance listens. */
export function secondaryServers (fastify: FastifyInstance): Server[] {
  for (let owner: object | null = fastify; owner !== null; owner = Object.getPrototypeOf(owner)) {
    const symbol = Object.getOwnPropertySymbols(owner).find(({ description }) => description === DESCRIPTION)
    if (symbol !== undefined) return owner[symbol as keyof object]
  }
  return []
}
