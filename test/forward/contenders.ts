/** Three applications that forward to one host, and one request through each. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import httpProxy from '@fastify/http-proxy'
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fastifyProx from '../../plugin/index'
import forward from '../../forward/index'
import type { Behaviour, Seen } from './behaviours'

export type Contender = 'fastify-prox/forward' | '@fastify/reply-from' | '@fastify/http-proxy'

export const CONTENDERS: readonly Contender[] = ['fastify-prox/forward', '@fastify/reply-from', '@fastify/http-proxy']

/** How long a request may take: what takes longer is "none". */
const PATIENCE = 5_000

export class Scene {
  readonly #host: net.Server
  readonly #apps: Record<Contender, FastifyInstance>
  #behaviour!: Behaviour
  #received = ''

  static async open (): Promise<Scene> {
    const scene = new Scene()
    scene.#host.listen(0, '127.0.0.1')
    await once(scene.#host, 'listening')
    const base = `http://127.0.0.1:${(scene.#host.address() as AddressInfo).port}`
    const { 'fastify-prox/forward': ours, '@fastify/reply-from': from, '@fastify/http-proxy': proxy } = scene.#apps
    await ours.register(fastifyProx, { ca: { store: new Map() } })
    await ours.register(forward, { allow: ['127.0.0.1'], pseudonym: 'test-pseudonym' })
    ours.all('/*', { config: { forward: true } }, (request, reply) => reply.forward({ url: base + request.raw.url }))
    await from.register(replyFrom, { base })
    from.all('/*', (request, reply) => { reply.from(request.raw.url) })
    await proxy.register(httpProxy, { upstream: base })
    for (const app of Object.values(scene.#apps)) await app.listen({ port: 0, host: '127.0.0.1' })
    return scene
  }

  private constructor () {
    this.#apps = {
      'fastify-prox/forward': Fastify(),
      '@fastify/reply-from': Fastify(),
      '@fastify/http-proxy': Fastify()
    }
    this.#host = net.createServer((socket) => {
      let text = ''
      socket.on('error', () => {})
      socket.on('data', (chunk) => {
        this.#received += chunk.toString('latin1')
        text += chunk.toString('latin1')
        const end = text.indexOf('\r\n\r\n')
        if (end === -1 || !isWhole(text, end + 4)) return
        text = ''
        const { answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' } = this.#behaviour
        if (answer === null) socket.destroy()
        else socket.end(answer, 'latin1')
      })
    })
  }

  async run (contender: Contender, behaviour: Behaviour): Promise<Seen> {
    this.#behaviour = behaviour
    this.#received = ''
    const client = net.connect((this.#apps[contender].server.address() as AddressInfo).port, '127.0.0.1')
    let response = ''
    client.on('data', (chunk) => { response += chunk.toString('latin1') })
    client.on('error', () => {})
    const [line, ...fields] = behaviour.request.split('\r\n')
    const head = [`${line} HTTP/1.1`, 'Host: a.test', ...fields]
    if (!fields.some((field) => field.startsWith('Connection:'))) head.push('Connection: close')
    client.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n${behaviour.body ?? ''}`, 'latin1'))
    const timer = setTimeout(() => client.destroy(), PATIENCE)
    // Ends a connection that the behaviour keeps open at the end of its response.
    client.on('data', () => { if (/ok$|\r\n0\r\n\r\n$|}$/.test(response)) client.end() })
    await once(client, 'close')
    clearTimeout(timer)
    return { request: this.#received, response }
  }

  async close (): Promise<void> {
    await Promise.all(Object.values(this.#apps).map((app) => app.close()))
    this.#host.close()
  }
}

function isWhole (text: string, start: number): boolean {
  const head = text.slice(0, start)
  if (/^transfer-encoding: *chunked/im.test(head)) return /\r\n0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text)
  return text.length >= start + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
}
