/**
 * An application behind the plugin, and its clients.
 *
 *   const proxy = await start(t, { prox: { resolver: '/prefix/' } }, async (app) => { app.get('/prefix/*', …) })
 *   proxy.app, proxy.port, proxy.log, proxy.connection        Fastify, its port, a `Log`, what net.connect takes
 *   await proxy.get('http://example.com/?a=1')                absolute-form, on a connection of its own
 *   await proxy.get('https://example.com/')                   CONNECT, verified TLS, one request
 *   const client = await proxy.client()                       a `RawClient` on a connection to the proxy
 *   const { client, response } = await proxy.connect('example.com:443')   CONNECT alone, whatever the answer
 *   const client = await proxy.tunnel('example.com:443')      the same, when the answer has to be 200
 *   const client = await proxy.tls('example.com:443', { … })  with verified TLS inside; options of tls.connect
 *
 * The CA is in memory, and each proxy has its own. Everything is closed when the test ends. `create` starts nothing:
 * for tests of start-up, `inject` and `listen`.
 */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import type { Duplex } from 'node:stream'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyListenOptions, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { Log } from './log'
import { checkServerIdentity } from './identity'
import { RawClient, connect } from './raw'
import type { Owner, RawResponse } from './raw'

export interface ProxyOptions {
  /** Options of Fastify: `https`, `http2`, `serverFactory`, … */
  fastify?: FastifyServerOptions | Record<string, unknown>
  /** Options of the plugin. */
  prox?: fastifyProx.FastifyProxOptions
  listen?: FastifyListenOptions
  /** Connects to the proxy itself by TLS: options of `tls.connect`. */
  secure?: tls.ConnectionOptions
}

type Fields = Record<string, string>

export type Setup = (app: FastifyInstance) => unknown

/** The host that a proxy listens on unless a test says otherwise. */
export const LOOPBACK = '127.0.0.1'

/** A Fastify application with the plugin, neither ready nor listening. `setup` runs when the plugin has loaded. */
export async function create (
  t: Test, { fastify, prox }: ProxyOptions = {}, setup?: Setup
): Promise<{ app: FastifyInstance, log: Log }> {
  const log = new Log()
  const app = Fastify({ loggerInstance: log.logger, ...fastify } as FastifyServerOptions) as unknown as FastifyInstance
  t.teardown(() => app.close())
  await app.register(fastifyProx, { ca: { store: new Map() }, ...prox })
  await setup?.(app)
  return { app, log }
}

export async function start (t: Test, options: ProxyOptions = {}, setup?: Setup): Promise<Proxy> {
  const { app, log } = await create(t, options, setup)
  const { listen } = options
  await app.listen(listen?.path === undefined ? { port: 0, host: LOOPBACK, ...listen } : listen)
  return new Proxy(t, app, log, options.secure)
}

export class Proxy {
  readonly #t: Owner
  readonly #secure: tls.ConnectionOptions | undefined
  readonly app: FastifyInstance
  readonly log: Log

  constructor (t: Owner, app: FastifyInstance, log: Log, secure?: tls.ConnectionOptions) {
    this.#t = t
    this.#secure = secure
    this.app = app
    this.log = log
  }

  get port (): number {
    return (this.app.server.address() as net.AddressInfo).port
  }

  get connection (): net.NetConnectOpts {
    const address = this.app.server.address()
    return typeof address === 'string' ? { path: address } : { host: address!.address, port: address!.port }
  }

  /** A client of the proxy. `t`: the test that it ends with. */
  async client (connection = this.connection, t = this.#t): Promise<RawClient<net.Socket>> {
    return await connect(t, connection, this.#secure)
  }

  /** A CONNECT, and the client that goes on behind the answer. */
  async connect (
    authority: string, headers: Fields = {}, connection = this.connection
  ): Promise<{ client: RawClient<net.Socket>, response: RawResponse }> {
    const client = await this.client(connection)
    const fields = Object.entries({ host: authority, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    client.write(`CONNECT ${authority} HTTP/1.1\r\n${fields.join('')}\r\n`)
    return { client, response: await client.response('CONNECT') }
  }

  /** A tunnel that opened. */
  async tunnel (
    authority: string, headers?: Fields, connection?: net.NetConnectOpts
  ): Promise<RawClient<net.Socket>> {
    const { client, response } = await this.connect(authority, headers, connection)
    if (response.status !== 200) throw new Error(`CONNECT ${authority}: ${response.status} ${response.body}`)
    return client
  }

  /** TLS in a tunnel, verified against the CA and the host of the authority. */
  async tls (
    authority: string, options: tls.ConnectionOptions = {}, headers?: Fields, connection?: net.NetConnectOpts
  ): Promise<RawClient<tls.TLSSocket>> {
    const tunnel = await this.tunnel(authority, headers, connection)
    return await secure(this.#t, tunnel.detach(), authority, { ca: this.app.proxyCA.certificatePem, ...options })
  }

  /** The answer to one request, on a connection of its own: absolute-form for `http:` and `ws:`, else in a tunnel. */
  async ask (method: string, url: string, headers: Fields = {}, body = ''): Promise<RawResponse> {
    const { protocol, host, hostname, port, pathname, search } = new URL(url)
    const fields = { host, connection: 'close', ...headers }
    if (protocol === 'http:') return await (await this.client()).ask(method, url, fields, body)
    const client = await this.tls(`${hostname}:${port || 443}`)
    return await client.ask(method, pathname + search, fields, body)
  }

  async get (url: string, headers?: Fields): Promise<RawResponse> {
    return await this.ask('GET', url, headers)
  }

  /** How many connections the server has. */
  async connections (): Promise<number> {
    return await new Promise((resolve) => this.app.server.getConnections((_err, count) => resolve(count)))
  }
}

/** TLS on a socket, up to the end of the handshake; rejects when the certificate is not good for the host. */
export async function secure (
  t: Owner, socket: Duplex, authority: string, options: tls.ConnectionOptions
): Promise<RawClient<tls.TLSSocket>> {
  const host = authority.slice(0, authority.lastIndexOf(':')).replace(/[[\]]/g, '')
  const name = net.isIP(host) === 0 && { servername: host }
  const client = new RawClient(t, tls.connect({ socket, host, ...name, checkServerIdentity, ...options }))
  await once(client.socket, 'secureConnect')
  return client
}
