/** Clients that reset right behind their request, inside TLS: Node does not always notice. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/index'
import { PREFACE, headers, request, settings, uint32, windowUpdate } from '../support/http2-frames'
import { start } from '../support/proxy'
import { PROX, recorded, run, until } from './support'
import type { TunnelClosed, TunnelEvent } from '../../types/events'

const CLIENTS = 10
const BODY = Buffer.alloc(20_000_000, 'content')

/** A program that sends and resets while the server is busy, which takes another process. */
const CLIENT = `
const { once } = require('node:events'), net = require('node:net'), tls = require('node:tls')
const [port, ca, alpn, bytes, inTunnel] = JSON.parse(process.argv[1])
async function main () {
  for (let i = 0; i < ${CLIENTS}; i++) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => {})
    if (inTunnel) {
      socket.write('CONNECT reset.test:443 HTTP/1.1\\r\\nHost: reset.test\\r\\n\\r\\n')
      await once(socket, 'data')
    } else {
      await once(socket, 'connect')
    }
    const client = tls.connect({ socket, host: 'reset.test', servername: 'reset.test', ca, ALPNProtocols: [alpn] })
    await once(client.on('error', () => {}), 'secureConnect')
    await new Promise((resolve) => setTimeout(resolve, 5))
    client.write(Buffer.from(bytes, 'base64'))
    socket.resetAndDestroy()
  }
}
main()
`

const LARGE_WINDOW = Buffer.concat([Buffer.from([0, 4]), uint32(2 ** 30)])

const H2_REQUEST = request({ ':scheme': 'https', ':authority': 'reset.test' })

const REQUESTS: Record<string, Buffer> = {
  'http/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: reset.test\r\n\r\n'),
  h2: Buffer.concat([PREFACE, settings(LARGE_WINDOW), windowUpdate(0, 2 ** 30), ...headers(1, H2_REQUEST)])
}

/** Keeps the process busy with the end of a handshake, while the reset comes. */
function stayBusy (): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}

async function runClients (
  t: Test, port: number, ca: CertificateAuthority, protocol: string, bytes: Buffer, inTunnel: boolean
): Promise<void> {
  const settings = JSON.stringify([port, ca.certificatePem, protocol, bytes.toString('base64'), inTunnel])
  t.same(await run(process.execPath, ['-e', CLIENT, settings], { NODE_OPTIONS: '' }), { code: 0, output: '' })
}

for (const [protocol, bytes] of Object.entries(REQUESTS)) {
  t.test(`${protocol}: every tunnel ends when its client has reset`, async (t) => {
    const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
    const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
    const proxy = await start(t, { prox: PROX }, (app) => {
      app.get('/p/*', async () => {
        await new Promise(setImmediate)
        return BODY
      })
    })
    subscribe('fastify-prox:tunnel:intercepted', stayBusy)
    t.teardown(() => unsubscribe('fastify-prox:tunnel:intercepted', stayBusy))
    await runClients(t, proxy.port, proxy.app.proxyCA, protocol, bytes, true)
    await until(() => opened.messages.length === CLIENTS && closed.messages.length === CLIENTS)
    await until(async () => await proxy.connections() === 0)
  })
}

const ABSOLUTE = Buffer.from('GET http://reset.test/ HTTP/1.1\r\nHost: reset.test\r\n\r\n')

t.test('every connection to a proxy that speaks TLS ends when its client has reset', async (t) => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('reset.test')
  const proxy = await start(t, { fastify: { https: { key, cert } }, prox: { ...PROX, ca } }, (app) => {
    app.get('/p/*', async () => {
      await new Promise(setImmediate)
      return BODY
    })
  })
  let accepted = 0
  proxy.app.server.on('secureConnection', () => {
    accepted++
    stayBusy()
  })
  await runClients(t, proxy.port, ca, 'http/1.1', ABSOLUTE, false)
  await until(async () => accepted === CLIENTS && await proxy.connections() === 0)
})

t.test('a client that has ended its side and reads much later gets everything', async (t) => {
  const proxy = await start(t, { prox: PROX }, (app) => { app.get('/p/*', async () => BODY) })
  const socket = net.connect({ ...proxy.connection, allowHalfOpen: true } as net.NetConnectOpts)
  t.teardown(() => socket.destroy())
  socket.write('CONNECT slow.test:443 HTTP/1.1\r\nHost: slow.test\r\n\r\n')
  await once(socket, 'data')
  const client = tls.connect({
    socket, host: 'slow.test', servername: 'slow.test', ca: proxy.app.proxyCA.certificatePem, allowHalfOpen: true
  } as tls.ConnectionOptions)
  await once(client, 'secureConnect')
  client.end('GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n')
  await once(client, 'readable')
  // Waits longer than a client lives that has gone.
  await sleep(3_500)
  let received = 0
  for await (const bytes of client) received += (bytes as Buffer).length
  t.ok(received > BODY.length)
})
