/**
 * Drives a real client against the plugin: its requests have to arrive as it meant them, by certificates that it has
 * verified, and it has to get the answers. With CLIENT_RESULTS=<directory> what works is written there, for the table
 * of `npm run clients`.
 */
import { execFile, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fastifyWebsocket from '@fastify/websocket'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import type { ProxyRequest } from '../../plugin/index'
import { plain } from '../support/plain-child'

export const PROGRAMS = join(__dirname, 'programs')

/** What a client is told to ask for: the request of a WebSocket has the scheme of HTTP. */
export type Scheme = ProxyRequest['scheme'] | 'ws' | 'wss'

export interface Client {
  readonly name: string
  /** A command that prints the version, and fails where the client is missing. */
  readonly version: readonly [file: string, ...args: string[]]
  /** What to install where it is missing. */
  readonly from: string
  readonly schemes: readonly Scheme[]
  /** Where a later request goes through the connection of one before. */
  readonly keepAlive: readonly Scheme[]
  /** Asks for every URL, in order, and resolves with what came back. */
  readonly run: (proxy: ClientProxy, urls: string[]) => Promise<string>
  /** What is asked for. Default: three pages by http and by https, and a WebSocket by ws and by wss. */
  readonly urls?: readonly string[]
}

/** One line of the table. */
export interface Result {
  readonly name: string
  readonly version: string
  readonly schemes: readonly Scheme[]
  readonly keepAlive: readonly Scheme[]
  /** What was agreed on in tunnels: `['h2', 'TLSv1.3']`. */
  readonly tunnel: readonly string[]
}

interface Arrival {
  readonly url: string
  readonly scheme: Scheme
  readonly connection: string
  readonly tunnel: readonly string[]
}

/** The proxy that clients are driven against: a page says what its URL is, a WebSocket repeats what it hears. */
export class ClientProxy {
  readonly app: FastifyInstance
  readonly arrivals: Arrival[] = []
  /** What is served in place of a page, by URL; a host that is in here has nothing else. */
  readonly files: Map<string, Buffer | string>
  /** For files of the client. */
  readonly directory: string

  private constructor (app: FastifyInstance, directory: string, files: Map<string, Buffer | string>) {
    this.app = app
    this.directory = directory
    this.files = files
  }

  static async start (t: Test): Promise<ClientProxy> {
    const proxy = new ClientProxy(Fastify({ forceCloseConnections: true }), t.testdir(), new Map())
    const { app } = proxy
    t.teardown(() => app.close())
    await app.register(fastifyWebsocket)
    await app.register(fastifyProx, { resolver: '/prefix/', ca: { store: new Map() } })
    app.route({
      method: 'GET',
      url: '/prefix/*',
      handler: async (request, reply) => {
        const url = proxy.#arrive(request)
        const origin = new URL(url).origin
        const file = proxy.files.get(url.replace(/\?.*/, ''))
        if (file !== undefined) return await reply.send(file)
        if ([...proxy.files.keys()].some((name) => name.startsWith(`${origin}/`))) return await reply.code(404).send()
        return await reply.type('text/plain').send(`${url}\n`)
      },
      wsHandler: (socket, request) => {
        const url = proxy.#arrive(request).replace(/^http/, 'ws')
        socket.on('message', (message) => socket.send(`${url} ${message}`))
      }
    })
    app.addContentTypeParser('application/grpc', (request, payload, done) => {
      payload.resume().on('end', () => done(null))
    })
    app.post('/prefix/*', async (request, reply) => {
      const { body, headers: { cookie } } = request
      if (typeof body === 'string') return `${Buffer.byteLength(body)} bytes, ${cookie}`
      reply.hijack()
      const url = Buffer.from(proxy.#arrive(request))
      // A message of gRPC: not compressed, its length, its bytes.
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(url.length, 1)
      reply.raw.writeHead(200, { 'content-type': 'application/grpc' })
      reply.raw.addTrailers({ 'grpc-status': '0' })
      reply.raw.end(Buffer.concat([prefix, url]))
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return proxy
  }

  get port (): number {
    return (this.app.server.address() as AddressInfo).port
  }

  /** The file with the certificate of the CA. */
  get ca (): string {
    return this.app.proxyEnv().NODE_EXTRA_CA_CERTS
  }

  /** Runs a program, in the environment that leads it here, and resolves with what it printed. */
  async exec (
    file: string, args: readonly string[], more: Record<string, string> = {}, cwd = this.directory
  ): Promise<string> {
    const { PATH } = process.env
    const env = { PATH, HOME: this.directory, LC_ALL: 'C', NODE_NO_WARNINGS: '1', ...this.app.proxyEnv(), ...more }
    const [command, rest] = plain(file, args, env.NODE_OPTIONS)
    const { stdout } = await promisify(execFile)(command, rest, { cwd, env, timeout: 50_000 })
    return stdout
  }

  #arrive ({ proxy, socket, ws }: FastifyRequest): string {
    const { url, scheme, tunnel } = proxy!
    this.arrivals.push({
      url,
      scheme: !ws ? scheme : scheme === 'https' ? 'wss' : 'ws',
      connection: tunnel === null ? `port ${socket.remotePort}` : tunnel.id,
      tunnel: tunnel === null ? [] : [tunnel.alpn, tunnel.tlsVersion].filter((agreed) => agreed !== null)
    })
    return url
  }
}

function defaultUrls (schemes: readonly Scheme[]): string[] {
  return schemes.flatMap((scheme) => {
    if (scheme.startsWith('ws')) return [`${scheme}://${scheme}.test/socket`]
    return [1, 2, 3].map((n) => `${scheme}://${scheme}.test/${n}?a=b`)
  })
}

/** A subtest in which a client gets all that it asks for; skipped where the client is missing. */
export function drive (t: Test, client: Client): void {
  const { name, version: [file, ...args], from, schemes, keepAlive, run, urls = defaultUrls(schemes) } = client
  const version = /\d+(?:\.\d+)+/.exec(spawnSync(file, args, { encoding: 'utf8' }).stdout ?? '')?.[0]
  t.test(name, { skip: version === undefined && `not installed (${from})` }, async (t) => {
    const proxy = await ClientProxy.start(t)
    const output = await run(proxy, [...urls])
    const expected = urls.map((url) => url.startsWith('ws') ? `${url} hello` : url)
    t.strictSame(output.split('\n').filter((line) => line !== ''), expected, 'every answer')
    // Browsers ask for things of their own.
    const hosts = urls.map((url) => new URL(url).host)
    const mine = proxy.arrivals.filter(({ url }) => hosts.includes(new URL(url).host))
    const reused: Scheme[] = []
    for (const scheme of schemes) {
      const arrivals = mine.filter((arrival) => arrival.scheme === scheme)
      t.ok(arrivals.length > 0, `by ${scheme}`)
      if (new Set(arrivals.map(({ connection }) => connection)).size < arrivals.length) reused.push(scheme)
    }
    t.strictSame(reused, keepAlive, 'connections are used again')
    const secure = mine.find(({ tunnel }) => tunnel.length > 0)
    if (t.passing()) record({ name, version: version!, schemes, keepAlive, tunnel: secure?.tunnel ?? [] })
  })
}

function record (result: Result): void {
  const { CLIENT_RESULTS: directory } = process.env
  if (directory === undefined) return
  writeFileSync(join(directory, `${result.name.replace(/\W+/g, '-')}.json`), JSON.stringify(result))
}

/** The version of an npm package that is installed here, as a command. */
export function installed (name: string): Client['version'] {
  const file = join(__dirname, '../../node_modules', name, 'package.json')
  return [process.execPath, '-p', `require(${JSON.stringify(file)}).version`]
}

/** A command of an npm package that is installed here. */
export function command (name: string): string {
  return join(__dirname, '../../node_modules/.bin', name)
}

export function program (name: string): string {
  return join(PROGRAMS, name)
}
