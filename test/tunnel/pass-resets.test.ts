import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { LOOPBACK } from '../support/proxy'
import type { Proxy, ProxyOptions } from '../support/proxy'
import { startHost, startPassing } from './passing'
import { recorded, until } from './support'
import type { TunnelClosed, TunnelOpened } from '../../types/events'

const ROUNDS = 30
const AT_A_TIME = 10
const BLOCK = Buffer.alloc(64 * 1024)

/** A small generator, so that a failure can be run again. */
function random (seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Node never closes what is reset while it is being shut down. */
function reset (socket: net.Socket): void {
  if (socket.writableEnded && !socket.writableFinished) socket.destroy()
  else socket.resetAndDestroy()
}

type Client = { stream: Duplex, reset: () => void }

/** @param connect sends a CONNECT, whose answer comes as the first of the bytes or not at all */
async function storm (
  t: Test, options: ProxyOptions, connecter: (proxy: Proxy) => Promise<(authority: string) => Promise<Client>>
): Promise<void> {
  const next = random(7)
  const opened = recorded<TunnelOpened>(t, 'tunnel:opened')
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const host = await startHost(t, (socket) => {
    const moment = next()
    if (moment < 0.1) return reset(socket)
    let received = 0
    socket.on('data', (bytes) => {
      received += bytes.length
      if (moment < 0.3 && received > BLOCK.length * moment * 10) reset(socket)
    })
    socket.on('end', () => socket.end())
    for (let i = 0; i < 6; i++) socket.write(BLOCK)
  })
  const proxy = await startPassing(t, {}, options)
  const connect = await connecter(proxy)
  const authority = `127.0.0.1:${host.port}`
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      const { stream, reset } = await connect(authority)
      const ended = new Promise((resolve) => stream.on('close', resolve))
      const limit = Math.floor(next() * 6 * BLOCK.length)
      let received = 0
      stream.on('error', () => {})
      stream.on('data', (bytes: Buffer) => {
        received += bytes.length
        if (received > limit) reset()
      })
      for (let i = 0; i < 4; i++) {
        if (next() < 0.1) reset()
        else if (stream.writable) stream.write(BLOCK)
      }
      if (next() < 0.5) stream.end()
      await ended
    }))
  }
  await until(() => closed.messages.length === opened.messages.length)
  t.ok(opened.messages.length > 100, `${opened.messages.length} tunnels were open`)
  await until(() => host.sockets.size === 0)
  t.same(proxy.log.messages('error').filter((msg) => !/FST_PROX_UPSTREAM|No connection to/.test(msg)), [])
  const counts = new Map<string, number>()
  for (const { code } of closed.messages) counts.set(code, (counts.get(code) ?? 0) + 1)
  t.comment([...counts].join(' '))
  await proxy.app.close()
}

const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length

t.test('nothing is left behind when clients and hosts reset at random moments', async (t) => {
  const before = sockets()
  await storm(t, {}, async (proxy) => async (authority) => {
    const socket = net.connect(proxy.port, LOOPBACK)
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await once(socket, 'connect')
    return { stream: socket, reset: () => reset(socket) }
  })
  await until(() => sockets() <= before)
})

t.test('nothing is left behind over HTTP/2 either', async (t) => {
  const before = sockets()
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  await storm(t, { fastify: { http2: true, https: { key, cert } }, prox: { ca } }, async (proxy) => {
    const session = http2.connect(`https://localhost:${proxy.port}`, { ca: ca.certificatePem, host: LOOPBACK })
    await once(session, 'connect')
    return async (authority) => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': authority }, { endStream: false })
      return { stream, reset: () => stream.close(http2.constants.NGHTTP2_CANCEL) }
    }
  })
  await until(() => sockets() <= before)
})
