/** Tunnels over HTTP/2 streams that are passed through. */
import { once } from 'node:events'
import http2 from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { LOOPBACK, secure } from '../support/proxy'
import { startHost, startPassing, startSite } from './passing'
import { recorded, until } from './support'
import type { TunnelClosed, TunnelOpened } from '../../types/events'

interface Opened {
  readonly session: ClientHttp2Session
  open (authority: string): Promise<{ stream: ClientHttp2Stream, status: number }>
}

async function startHttp2 (t: Test, prox: fastifyProx.FastifyProxOptions = {}): Promise<Opened> {
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const proxy = await startPassing(
    t, {}, { fastify: { http2: true, https: { key, cert, allowHTTP1: true } }, prox: { ca, ...prox } }
  )
  const session = http2.connect(`https://localhost:${proxy.port}`, { ca: ca.certificatePem, host: LOOPBACK })
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  await once(session, 'connect')
  return {
    session,
    open: async (authority) => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false })
      stream.on('error', () => {})
      const [{ ':status': status }] = await once(stream, 'response') as [{ ':status': number }]
      return { stream, status }
    }
  }
}

t.test('clients reach the real site by TLS, many at a time', async (t) => {
  const opened = recorded<TunnelOpened>(t, 'tunnel:opened')
  const site = await startSite(t, 'the real site')
  const { open } = await startHttp2(t)
  await Promise.all(Array.from({ length: 10 }, async () => {
    const { stream } = await open(`localhost:${site.port}`)
    const client = await secure(t, stream, `localhost:${site.port}`, { ca: site.root })
    t.equal((await client.ask('GET', '/', { connection: 'close' })).body, 'the real site')
  }))
  t.equal(opened.messages.filter(({ passed }) => passed).length, 10)
})

t.test('what cannot be dialled is answered', async (t) => {
  const { open } = await startHttp2(t)
  t.equal((await open('127.0.0.1:1')).status, 502)
  t.equal((await open('10.0.0.1:443')).status, 403)
})

t.test('each side may go on when the other has ended its own', async (t) => {
  const host = await startHost(t, (socket) => {
    let received = ''
    socket.on('data', (bytes) => { received += bytes })
    socket.on('end', () => socket.end(`all of ${received}`))
  })
  const { open } = await startHttp2(t)
  const { stream } = await open(`127.0.0.1:${host.port}`)
  stream.end('my side')
  t.equal(await stream.reduce((text: string, bytes) => text + String(bytes), ''), 'all of my side')
  const early = await startHost(t, (socket) => {
    socket.end('early')
    socket.on('data', (bytes) => seen(bytes))
  })
  let seen: (bytes: Buffer) => void = () => {}
  const late = new Promise<Buffer>((resolve) => { seen = resolve })
  const other = (await open(`127.0.0.1:${early.port}`)).stream
  t.equal(String((await once(other, 'data'))[0]), 'early')
  other.end('late')
  t.equal(String(await late), 'late')
  await until(() => host.sockets.size + early.sockets.size === 0)
})

t.test('a large transfer goes at the pace of who is slower', async (t) => {
  const content = Buffer.alloc(8 * 2 ** 20, 'content')
  let pending = 0
  const host = await startHost(t, (socket) => {
    socket.end(content)
    pending = socket.writableLength
    socket.on('drain', () => { pending = 0 })
  })
  const { open } = await startHttp2(t)
  const { stream } = await open(`127.0.0.1:${host.port}`)
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.ok(pending > 0, 'it waits at its source')
  let received = 0
  for await (const bytes of stream) received += (bytes as Buffer).length
  t.equal(received, content.length)
})

t.test('resets are errors of the stream, and the other way round', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const errors: string[] = []
  const host = await startHost(t, (socket) => {
    socket.on('error', (err: NodeJS.ErrnoException) => errors.push(err.code!))
    socket.on('data', () => socket.resetAndDestroy())
    socket.write('ready')
  })
  const { open, session } = await startHttp2(t)
  const { stream } = await open(`127.0.0.1:${host.port}`)
  stream.write('reset')
  await new Promise((resolve) => stream.resume().on('close', resolve))
  t.equal(stream.rstCode, http2.constants.NGHTTP2_CONNECT_ERROR)
  t.match(await closed.next(), { code: 'UPSTREAM_FAILED', passed: true })

  const other = (await open(`127.0.0.1:${host.port}`)).stream
  await once(other, 'data')
  other.close(http2.constants.NGHTTP2_CANCEL)
  t.match(await closed.next(), { code: 'ECONNRESET' })
  await until(() => errors.length === 1)

  const third = (await open(`127.0.0.1:${host.port}`)).stream
  await once(third, 'data')
  session.destroy()
  await closed.next()
  await until(() => host.sockets.size === 0)
})

t.test('timeouts.passIdle and fastify.close() end tunnels that are passed through', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const host = await startHost(t, (socket) => socket.pipe(socket))
  const idle = await startHttp2(t, { timeouts: { passIdle: 40 } })
  await once((await idle.open(`127.0.0.1:${host.port}`)).stream.resume(), 'close')
  t.match(await closed.next(), { code: 'IDLE_TIMEOUT' })
  await until(() => host.sockets.size === 0)
})
