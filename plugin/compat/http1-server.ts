/**
 * Has an HTTP/1.1 server that never listens behave as one that does, with the options of another one.
 *
 * Relied on:
 * - `http.Server` keeps most options of `createServer` as properties of the same name;
 * - it enforces `headersTimeout` and `requestTimeout` from its event 'listening' on;
 * - `ServerResponse` tells the client `_keepAliveTimeout`, in milliseconds, in `Keep-Alive: timeout=…`.
 *
 * Seen in: Node 20 to 26 (lib/_http_server.js).
 * Without it: options of Fastify's server do not hold in tunnels; slow header sections are served for ever; clients are
 * not told how long a tunnel is kept.
 */
import { createServer, ServerResponse, IncomingMessage } from 'node:http'
import type { Server, ServerOptions } from 'node:http'
import { Socket } from 'node:net'
import type { Http2Limits } from './http2-stream'

const INHERITED = [
  'maxHeaderSize', 'connectionsCheckingInterval', 'insecureHTTPParser', 'joinDuplicateHeaders', 'highWaterMark',
  'requireHostHeader', 'rejectNonStandardBodyWrites'
] as const

type InheritedOptions = Partial<Pick<ServerOptions, typeof INHERITED[number]>>

/** The options that a server was made with, as far as they are about requests. */
export function inheritedOptions (outer: object): InheritedOptions {
  return Object.fromEntries(INHERITED.flatMap((name) => name in outer ? [[name, outer[name as keyof object]]] : []))
}

/** The limits for header sections that a server was made with. */
export function http2LimitsOf (outer: object): Omit<Http2Limits, 'express'> {
  const { maxHeaderSize, maxHeadersCount } = outer as Partial<Server & { maxHeaderSize: number }>
  return { maxHeaderSize, maxHeadersCount }
}

/** Enforces the time limits of a server that never listens. */
export function startTimeouts (server: Server): void {
  server.emit('listening')
}

type HintingResponse = ServerResponse & { _keepAliveTimeout: number }

/** Has the response tell the client for how many milliseconds an idle connection is kept. */
export function hintKeepAlive (response: ServerResponse, milliseconds: number): void {
  (response as HintingResponse)._keepAliveTimeout = milliseconds
}

/** Whether the running Node keeps the options of a server where they are looked for. */
export function keepsServerOptions (): boolean {
  return inheritedOptions(createServer({ maxHeaderSize: 16_000 })).maxHeaderSize === 16_000
}

/** Whether responses of the running Node have what `hintKeepAlive` sets. */
export function hintsKeepAlive (): boolean {
  return '_keepAliveTimeout' in new ServerResponse(new IncomingMessage(new Socket()))
}
