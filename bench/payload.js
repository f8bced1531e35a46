/** What the contenders answer and the client expects. */
import { createHash } from 'node:crypto'

/** The host that warm tunnels lead to, and that the certificate of bare Fastify is for. */
export const HOST = 'bench.test'

/** The answer to a small request. */
export const BODY = '{"hello":"world"}'
export const CONTENT_TYPE = 'application/json; charset=utf-8'

/** Bytes of a large transfer. */
export const TRANSFER = 100 * 1024 * 1024

/** A large transfer is this block, over and over. */
export const BLOCK = Buffer.concat(Array.from({ length: 2048 }, (_, i) => createHash('sha256').update(`${i}`).digest()))

/** What is sent to and fro over a WebSocket. */
export const MESSAGE = 'fastify-prox echo, 32 characters'

/** How long every contender bears an idle connection, in milliseconds: Fastify's default. Node's is 5 seconds. */
export const KEEP_ALIVE = 72_000
