/**
 * What the tests of downloads share: the download app alone, and clients that ask it.
 *
 *   const { ca } = await makeAuthority()
 *   const app = await serve(t, downloadApp({ ca, host: HOST }))
 *   const { status, headers, body } = await ask(app, '/download/pem')
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import type net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import vm from 'node:vm'
import { once } from 'node:events'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyListenOptions, FastifyPluginAsync } from 'fastify'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/index'

export const HOST = 'fastify-prox'
export const ROUTES = [
  '/download',
  '/download/',
  '/download/trusted.css',
  '/download/env',
  '/download/pem',
  '/download/cer',
  '/download/p12',
  '/download/mobileconfig',
  '/proxy.pac'
]

/** A CA with its private key, which no response may hold. */
export async function makeAuthority (keyType: 'ec' | 'rsa' = 'ec'): Promise<{ ca: CertificateAuthority, key: string }> {
  const store = new Map<string, string>()
  const ca = await CertificateAuthority.load({ store, keyType })
  const [key] = store.values()
  return { ca, key: key as string }
}

/** A download app alone, without the plugin, on a server that listens. */
export async function serve (
  t: Test,
  plugin: FastifyPluginAsync,
  app: FastifyInstance = Fastify(),
  listen: FastifyListenOptions = { port: 0, host: '127.0.0.1' }
): Promise<FastifyInstance> {
  app.decorateRequest('proxy', null)
  app.register(plugin)
  await app.listen(listen)
  t.teardown(() => app.close())
  return app
}

/** The path of a unix socket that is short enough for every system. */
export async function temporarySocket (t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rm(directory, { recursive: true }))
  return join(directory, 'socket')
}

export function portOf (app: FastifyInstance): number {
  return (app.server.address() as net.AddressInfo).port
}

export interface Answer { status: number, headers: http.IncomingHttpHeaders, body: Buffer }

export async function answerOf (request: http.ClientRequest): Promise<Answer> {
  request.end()
  const [response] = await once(request, 'response') as [http.IncomingMessage]
  const body = Buffer.concat(await response.toArray() as Buffer[])
  return { status: response.statusCode as number, headers: response.headers, body }
}

export function ask (app: FastifyInstance, path: string, options: http.RequestOptions = {}): Promise<Answer> {
  return answerOf(http.request({ host: '127.0.0.1', port: portOf(app), path, agent: false, ...options }))
}

/** The SHA-256 of a certificate, in hex. */
export function sha256Of ({ certificateDer }: CertificateAuthority): string {
  return createHash('sha256').update(certificateDer).digest('hex')
}

/** A tunnel through the proxy, up to the TLS inside it. */
export async function tunnel (app: FastifyInstance, ca: CertificateAuthority, alpn: string): Promise<tls.TLSSocket> {
  const options = { host: '127.0.0.1', port: portOf(app), method: 'CONNECT', path: `${HOST}:443`, agent: false }
  const connect = http.request(options).end()
  const [, socket] = await once(connect, 'connect') as [http.IncomingMessage, net.Socket]
  const secure = tls.connect({ socket, servername: HOST, ca: ca.certificatePem, ALPNProtocols: [alpn] })
  await once(secure, 'secureConnect')
  return secure
}

/** What the PAC file that was answered says of example.com. */
export async function autoConfigurationOf (t: Test, answer: Promise<Answer>): Promise<unknown> {
  const { status, headers, body } = await answer
  t.equal(status, 200)
  t.equal(headers['content-type'], 'application/x-ns-proxy-autoconfig')
  return vm.runInNewContext(`${body.toString()}; FindProxyForURL('https://example.com/', 'example.com')`)
}
