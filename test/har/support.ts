/** Proxies that record to a HAR file, or replay one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import har from '../../har/index'
import { startForward } from '../forward/support'
import fastifyProx from '../../plugin/index'
import { Log } from '../support/log'
import { Proxy } from '../support/proxy'
import type { ProxyOptions } from '../support/proxy'

export const forwardAll = (app: FastifyInstance): void => {
  app.all('/*', (_request, reply) => reply.forward())
}

export async function startHar (
  t: Test, options: har.HarOptions, setup: (app: FastifyInstance) => unknown = forwardAll, more: ProxyOptions = {}
): Promise<Proxy> {
  return await startForward(t, {}, async (app) => {
    await app.register(har, options)
    await setup(app)
  }, more)
}

/** A proxy whose proxy app replays. */
export async function startReplayApp (
  t: Test, host: string, file: string, options?: har.HarReplayOptions
): Promise<Proxy> {
  const log = new Log()
  const app = Fastify({ loggerInstance: log.logger }) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(websocket)
  await app.register(fastifyProx, { ca: { store: new Map() }, proxyApps: { [host]: har.replay(file, options) } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return new Proxy(t, app, log)
}

export const forwardSockets = async (app: FastifyInstance): Promise<void> => {
  await app.register(websocket)
  app.get('/*', { websocket: true, config: { forward: true } }, (socket, request) => request.forwardSocket(socket))
}

export function harFile (t: Test, name = 'site.har'): string {
  return join(t.testdir(), name)
}

export function entriesOf (file: string): har.HarEntry[] {
  return JSON.parse(readFileSync(file, 'utf8')).log.entries
}

/** An entry with as much as replaying needs. */
export function entry (
  method: string, url: string, response: Partial<har.HarResponse> = {}, request: Partial<har.HarRequest> = {}
): har.HarEntry {
  return {
    startedDateTime: '2026-01-01T00:00:00.000Z',
    time: 0,
    request: {
      method,
      url,
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [],
      queryString: [],
      headersSize: -1,
      bodySize: -1,
      ...request
    },
    response: {
      status: 200,
      statusText: 'OK',
      httpVersion: 'HTTP/1.1',
      cookies: [],
      headers: [],
      content: { size: 0, mimeType: 'text/plain' },
      redirectURL: '',
      headersSize: -1,
      bodySize: -1,
      ...response
    },
    cache: {},
    timings: { send: 0, wait: 0, receive: 0 }
  }
}

export function harText (entries: readonly unknown[], more: object = {}): string {
  return JSON.stringify({ log: { version: '1.2', creator: { name: 'a', version: '1' }, entries, ...more } })
}

export function text (content: string, mimeType = 'text/plain'): Partial<har.HarResponse> {
  return { content: { size: content.length, mimeType, text: content } }
}
