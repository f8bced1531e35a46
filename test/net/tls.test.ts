/** TLS handshakes that fail in ways that are rare: each has its reason, and leaves no connection. */
import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { pki } from 'node-forge'
import t from 'tap'
import type { Test } from 'tap'
import { UpstreamTls } from '../../net/tls'

/** Shakes hands with a server that listens from now on. */
async function handshake (t: Test, server: net.Server, before?: (socket: net.Socket) => void): Promise<void> {
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  server.on('tlsClientError', () => {})
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const socket = net.connect(port, '127.0.0.1')
  await once(socket, 'connect')
  before?.(socket)
  try {
    const secured = await new UpstreamTls(undefined, {}).secure(socket, { hostname: 'a.test', port }, [], 10_000)
    secured.destroy()
  } finally {
    t.ok(socket.destroyed, 'no connection is left')
  }
}

t.test('a connection that our side gives up in the middle ends the handshake', async (t) => {
  for (const [err, message] of [[undefined, /closed in the handshake/], [new Error('given up'), /given up/]] as const) {
    const server = net.createServer((socket) => { socket.resume() })
    const failed = handshake(t, server, (socket) => setImmediate(() => socket.destroy(err)))
    await t.rejects(failed, { code: 'FST_PROX_UPSTREAM_TLS', message })
  }
})

t.test('a host that shows no certificate is refused', async (t) => {
  const byDefault = tls.DEFAULT_CIPHERS
  t.teardown(() => { tls.DEFAULT_CIPHERS = byDefault })
  // As an operator may have it with --tls-cipher-list.
  tls.DEFAULT_CIPHERS = 'aNULL:@SECLEVEL=0'
  const server = tls.createServer({ ciphers: 'aNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2', dhparam: 'auto' })
  const message = /^No TLS connection to a\.test:\d+: [A-Z_]+$/
  await t.rejects(handshake(t, server), { code: 'FST_PROX_UPSTREAM_TLS', message })
})

t.test('certificates are told by the organization where they have no name, or by nothing', async (t) => {
  const { privateKey, publicKey } = pki.rsa.generateKeyPair(2048)
  for (const name of ['An Organization', '']) {
    const subject = name === '' ? [] : [{ shortName: 'O', value: name }]
    const certificate = pki.createCertificate()
    certificate.publicKey = publicKey
    certificate.setSubject(subject)
    certificate.setIssuer(subject)
    certificate.validity.notAfter = new Date(Date.now() + 3_600_000)
    certificate.sign(privateKey)
    const server = tls.createServer({
      key: pki.privateKeyToPem(privateKey), cert: pki.certificateToPem(certificate)
    })
    await t.rejects(handshake(t, server), {
      code: 'FST_PROX_UPSTREAM_TLS', message: `The certificate is one of "${name}" by "${name}", for none`
    })
  }
})
