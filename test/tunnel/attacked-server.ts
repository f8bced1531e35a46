/**
 * The process that `Attacked` of ./attacked.ts starts: a proxy that speaks HTTP/1.1, and one that speaks HTTP/2. Its
 * routes do what takes time. A message of any kind asks what is open.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import fastifyProx, { CertificateAuthority } from '../../plugin/index'
import type { AttackedCounts, AttackedPorts } from './attacked'

const REQUEST_TIMEOUT = 150

/** Limit of idle time: Node 20 neither reads on nor ends when its HTTP/2 library has given a session up. */
const IDLE = 500

let tunnels = 0
subscribe('fastify-prox:tunnel:opened', () => { tunnels++ })
subscribe('fastify-prox:tunnel:closed', () => { tunnels-- })

async function listen (ca: CertificateAuthority, options: object): Promise<FastifyInstance> {
  const app = Fastify({ requestTimeout: REQUEST_TIMEOUT, ...options }) as FastifyInstance
  await app.register(fastifyProx, {
    ca,
    timeouts: { idle: IDLE, firstByte: 5_000, handshake: 5_000 },
    resolver: async (url) => {
      if (url.endsWith('/resolved')) await sleep(5)
      return `/p/${url}`
    }
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', async (_request: unknown, payload: AsyncIterable<Buffer>) => {
    for await (const chunk of payload) await sleep(chunk.length > 0 ? 20 : 0)
  })
  app.all('/p/*', async (request, reply) => {
    if (!request.proxy!.url.endsWith('/stream')) return 'ok'
    async function * slowly (): AsyncGenerator<Buffer> {
      for (let i = 0; i < 5; i++) {
        yield Buffer.alloc(1_000)
        await sleep(5)
      }
    }
    return await reply.send(Readable.from(slowly()))
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

async function main (): Promise<void> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const apps = [
    await listen(ca, {}),
    await listen(ca, {
      http2: true, http2SessionTimeout: IDLE, https: { key, cert, allowHTTP1: true }
    })
  ] as const
  const port = ({ server }: FastifyInstance): number => (server.address() as AddressInfo).port
  const countConnections = async ({ server }: FastifyInstance): Promise<number> =>
    await new Promise((resolve) => server.getConnections((_err, count) => resolve(count)))
  // Node 20 keeps sessions of its own HTTP/2 port that its HTTP/2 library has given up, without the plugin as well.
  const counted = process.versions.node.startsWith('20.') ? apps.slice(0, 1) : apps
  process.on('message', () => {
    Promise.all(counted.map(countConnections)).then((counts) => {
      const connections = counts.reduce((sum, count) => sum + count, 0)
      process.send!({ connections, tunnels } satisfies AttackedCounts)
    })
  })
  process.on('disconnect', () => process.exit())
  process.send!({ http1: port(apps[0]), http2: port(apps[1]), ca: ca.certificatePem } satisfies AttackedPorts)
}

main()
