/**
 * Upstream hosts for tests, and a proxy that forwards to them.
 *
 *   const site = await startSite(t, (request, response) => { … })      HTTP/1.1; `site.port`, `site.seen`
 *   const site = await startSite(t, handler, { http2: true })          TLS by a private root, h2 and HTTP/1.1
 *   const raw = await startRaw(t, (socket, head) => { … })             a socket that has sent a request head
 *   const proxy = await startForward(t, { allow: LOCAL })              test/support/proxy's Proxy
 */
import { once } from 'node:events'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import forward from '../../forward/index'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { start } from '../support/proxy'
import type { Proxy, ProxyOptions } from '../support/proxy'

/** What lets loopback through, where the upstream hosts of tests are. */
export const LOCAL = ['127.0.0.0/8', '::1']

export interface Seen {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: http.IncomingHttpHeaders
  readonly httpVersion: string
}

export interface Site {
  readonly port: number
  readonly seen: Seen[]
  readonly server: net.Server
}

export type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void

export interface SiteOptions {
  tls?: https.ServerOptions
  http2?: boolean
}

let authority: Promise<CertificateAuthority> | undefined

/** The private root that upstream hosts have their certificates from. */
export async function privateRoot (): Promise<CertificateAuthority> {
  return await (authority ??= CertificateAuthority.load({ store: new Map() }))
}

export async function startSite (
  t: Test, handler: Handler, { tls, http2: h2 = false }: SiteOptions = {}
): Promise<Site> {
  const seen: Seen[] = []
  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const { method, url, rawHeaders, headers, httpVersion } = request
    seen.push({ method: method!, url: url!, rawHeaders, headers, httpVersion })
    handler(request, response)
  }
  const secure = tls ?? (h2 ? {} : undefined)
  const issued = secure === undefined ? undefined : await (await privateRoot()).issue('localhost')
  const pem = { key: issued?.key, cert: issued?.cert }
  const server = secure === undefined
    ? http.createServer(listener)
    : h2
      ? http2.createSecureServer({ allowHTTP1: true, ...pem, ...secure }, listener as never)
      : https.createServer({ ...pem, ...secure }, listener)
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: (server.address() as AddressInfo).port, seen, server }
}

/** A server that is told of the head of each request, and writes what it likes. */
export async function startRaw (
  t: Test, listener: (socket: net.Socket, head: string) => void
): Promise<{ port: number }> {
  const server = net.createServer((socket) => {
    let head = ''
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end === -1) return
      const whole = head
      head = ''
      listener(socket, whole)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { port: (server.address() as AddressInfo).port }
}

/** A proxy that forwards everything, as a rule; `setup` adds routes in its place. */
export async function startForward (
  t: Test,
  options: forward.ForwardPluginOptions = {},
  setup: (app: FastifyInstance) => unknown = (app) => { app.all('/*', (_request, reply) => reply.forward()) },
  more: ProxyOptions = {}
): Promise<Proxy> {
  return await start(t, { ...more, prox: { ...more.prox } }, async (app) => {
    await app.register(forward, { allow: LOCAL, ca: (await privateRoot()).certificatePem, ...options })
    await setup(app)
  })
}
