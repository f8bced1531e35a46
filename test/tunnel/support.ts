/**
 * What the tests of tunnels share, on top of test/support.
 *
 *   await start(t, { prox: PROX }, echo)                   every URL is answered with what the application knows of it
 *   const session = await h2(t, proxy, 'example.com:443')  an HTTP/2 client in a tunnel; `h2c` for a plain one
 *   const answer = await ask(session, { ':path': '/a' })   one request, one answer
 *   const events = recorded(t, 'tunnel:closed')            what a diagnostics channel said, and `await events.next()`
 *   const { output } = await run('curl', [...])            a program, to its end
 */
import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import http2 from 'node:http2'
import type { ClientHttp2Session, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'
import type { Duplex } from 'node:stream'
import type tls from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { Proxy } from '../support/proxy'
import type { Owner } from '../support/raw'

export { until } from '../support/until'

export const PROX = { resolver: '/p/' }

/** Routes for everything below `/p/`. */
export function echo (app: FastifyInstance): void {
  app.all('/p/*', {
    handler: async ({ proxy, host, raw, body, ip }) => ({ ...proxy, host, version: raw.httpVersion, body, ip })
  })
}

/** An HTTP/2 client on a socket. */
export function h2Over (t: Owner, socket: Duplex, url: string): ClientHttp2Session {
  const session = http2.connect(url, { createConnection: () => socket })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  return session
}

export async function h2 (
  t: Owner, proxy: Proxy, authority: string, options: tls.ConnectionOptions = {}
): Promise<ClientHttp2Session> {
  const client = await proxy.tls(authority, { ALPNProtocols: ['h2'], ...options })
  return h2Over(t, client.detach(), `https://${authority}`)
}

export async function h2c (t: Owner, proxy: Proxy, authority: string): Promise<ClientHttp2Session> {
  return h2Over(t, (await proxy.tunnel(authority)).detach(), `http://${authority}`)
}

export interface H2Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly trailers: IncomingHttpHeaders
  readonly body: Buffer
  json (): Record<string, unknown>
}

export async function ask (
  session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string | Buffer
): Promise<H2Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  let trailers = {}
  stream.on('trailers', (fields) => { trailers = fields })
  // Read from the beginning: a stream may have ended by the turn after its response.
  const [[fields], chunks] = await Promise.all([
    once(stream, 'response') as Promise<[IncomingHttpHeaders & { ':status': number }]>,
    stream.toArray() as Promise<Buffer[]>
  ])
  const content = Buffer.concat(chunks)
  const json = (): Record<string, unknown> => JSON.parse(content.toString())
  return { status: fields[':status'], headers: fields, trailers, body: content, json }
}

/** The messages of a channel of this package, until the test ends. */
export class Recorded<Message> extends EventEmitter {
  readonly messages: Message[] = []
  #read = 0

  /** The first message that was not read yet. */
  async next (): Promise<Message> {
    while (this.messages.length === this.#read) await once(this, 'message')
    return this.messages[this.#read++]!
  }
}

export function recorded<Message> (t: Test, name: string): Recorded<Message> {
  const recorded = new Recorded<Message>()
  const listener = (message: unknown): void => {
    recorded.messages.push(message as Message)
    recorded.emit('message')
  }
  subscribe(`fastify-prox:${name}`, listener)
  t.teardown(() => unsubscribe(`fastify-prox:${name}`, listener))
  return recorded
}

/** Runs a program and gathers what it writes to both outputs. */
export async function run (
  command: string, args: string[], env: NodeJS.ProcessEnv = {}
): Promise<{ code: number, output: string }> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes: Buffer) => output.push(bytes))
  const [code] = await once(child, 'close') as [number]
  return { code, output: Buffer.concat(output).toString() }
}
