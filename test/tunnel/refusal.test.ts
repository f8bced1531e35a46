/** Clients that do not trust the CA are told apart from other failures of the handshake. */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { describeHandshakeFailure } from '../../plugin/tunnel/outcome'
import { have } from '../ca/clients'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { writeOnly } from '../support/raw'
import { echo, PROX, recorded, run } from './support'
import type { Recorded } from './support'
import type { HandshakeFailed } from '../../types/events'

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

async function startRecorded (t: Test): Promise<{ proxy: Proxy, failed: Recorded<HandshakeFailed> }> {
  return { failed: recorded<HandshakeFailed>(t, 'handshake:failed'), proxy: await start(t, { prox: PROX }, echo) }
}

t.test('programs that send an alert are told apart', { skip: have('curl openssl python3') }, async (t) => {
  const { proxy, failed } = await startRecorded(t)
  const address = `127.0.0.1:${proxy.port}`
  const python = (version: string): string => `
import socket, ssl
s = socket.create_connection(('127.0.0.1', ${proxy.port}))
s.sendall(b'CONNECT python.test:443 HTTP/1.1\\r\\nHost: python.test\\r\\n\\r\\n')
s.recv(1000)
c = ssl.create_default_context()
c.minimum_version = c.maximum_version = ssl.TLSVersion.${version}
try: c.wrap_socket(s, server_hostname='python.test')
except ssl.SSLError: pass`
  const openssl = ['openssl', 's_client', '-proxy', address, '-connect', 'openssl.test:443', '-verify_return_error']
  const programs = {
    'curl TLSv1.2': ['curl', '-sS', '-x', address, 'https://curl.test/', '--tls-max', '1.2'],
    'curl TLSv1.3': ['curl', '-sS', '-x', address, 'https://curl.test/'],
    'openssl TLSv1.2': [...openssl, '-tls1_2'],
    'openssl TLSv1.3': [...openssl, '-tls1_3'],
    'Python TLSv1.2': ['python3', '-c', python('TLSv1_2')],
    'Python TLSv1.3': ['python3', '-c', python('TLSv1_3')]
  }
  for (const [name, [command, ...args]] of Object.entries(programs)) {
    await run(command!, args)
    const servername = `${name.split(' ')[0]!.toLowerCase()}.test`
    t.match(await failed.next(), { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', refused: true, servername }, name)
  }
  const { proxyCA } = proxy.app
  t.match(await proxy.log.next(/tunnel to curl.test:443 closed/), {
    level: 'warn',
    msg: `tunnel to curl.test:443 closed: the client does not trust the CA '${proxyCA.name}': ` +
      'add its certificate to what the client trusts, or have onConnect answer pass() for curl.test',
    fingerprint256: proxyCA.fingerprint256,
    code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'
  })
  await proxy.log.next(/tunnel to python.test:443 closed/)
  t.equal(proxy.log.messages('warn').length, 3, 'once for each host')
})

for (const version of VERSIONS) {
  t.test(`clients of Node's that refuse are told apart, ${version}`, async (t) => {
    const { proxy, failed } = await startRecorded(t)
    const refuse = async (authority: string, servername: string): Promise<void> => {
      const socket = (await proxy.tunnel(authority)).detach()
      const client = tls.connect({ socket, servername, minVersion: version, maxVersion: version })
      const [err] = await once(client, 'error').catch((err) => [err])
      t.equal(err.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')
    }
    await refuse('10.0.0.1:443', 'node.test')
    const code = version === 'TLSv1.2' ? 'LEFT_AFTER_HANDSHAKE' : 'LEFT_IN_HANDSHAKE'
    t.match(await failed.next(), {
      code,
      refused: true,
      servername: 'node.test',
      authority: '10.0.0.1:443',
      remoteAddress: '127.0.0.1'
    })
    await refuse('10.0.0.1:443', 'node.test')
    await failed.next()
    await refuse('10.0.0.1:443', 'other.test')
    await failed.next()
    await refuse('10.0.0.2:443', '')
    t.match(await failed.next(), { refused: true, servername: null })
    await proxy.log.next(/tunnel to 10.0.0.2:443 closed/)
    const lines = proxy.log.lines.filter(({ msg }) => /tunnel to .* closed/.test(msg))
    t.same(lines.map(({ level }) => level), ['warn', 'debug', 'warn', 'warn'])
  })

  t.test(`clients that trust the CA are not taken for refusals, ${version}`, async (t) => {
    const { proxy, failed } = await startRecorded(t)
    const options: tls.ConnectionOptions = { minVersion: version, maxVersion: version }
    const asking = await proxy.tls('a.test:443', options)
    const session = asking.socket.getSession()
    t.equal((await asking.ask('GET', '/', { connection: 'close' })).status, 200)
    await proxy.log.next(/tunnel to a.test:443 closed/)
    const broken = await proxy.tls('b.test:443', options)
    broken.write(`GET / HTTP/1.1\r\nHost: b.test\r\nx: ${'x'.repeat(100)}`)
    broken.socket.end()
    await proxy.log.next(/tunnel to b.test:443 closed/)
    const resumed = await proxy.tls('a.test:443', { ...options, session })
    resumed.socket.end()
    await resumed.closed()
    t.same(failed.messages, [])
  })
}

const REFUSALS = {
  42: 'BAD_CERTIFICATE',
  43: 'UNSUPPORTED_CERTIFICATE',
  44: 'CERTIFICATE_REVOKED',
  45: 'CERTIFICATE_EXPIRED',
  46: 'CERTIFICATE_UNKNOWN',
  48: 'UNKNOWN_CA',
  49: 'ACCESS_DENIED'
}

t.test('alerts about certificates are refusals, others are not', async (t) => {
  const { proxy, failed } = await startRecorded(t)
  const alert = async (description: number): Promise<HandshakeFailed> => {
    const socket = (await proxy.tunnel('alert.test:443')).detach()
    // Replaces the client's own messages after its ClientHello by the alert.
    let hello = true
    const carrier = new Duplex({
      read () {},
      write (bytes, _encoding, done) {
        if (hello) socket.write(bytes)
        hello = false
        done()
      }
    })
    tls.connect({ socket: carrier, maxVersion: 'TLSv1.2' }).on('error', () => {})
    socket.resume()
    await once(socket, 'data')
    socket.write(Buffer.from([0x15, 3, 3, 0, 2, 2, description]))
    const message = await failed.next()
    socket.destroy()
    return message
  }
  for (const [description, name] of Object.entries(REFUSALS)) {
    const { code, refused } = await alert(Number(description))
    t.match(code, new RegExp(`_ALERT_${name}$`))
    t.equal(refused, true, name)
  }
  for (const description of [10, 40, 70, 80]) t.equal((await alert(description)).refused, false)
})

t.test('failures that are something else are no refusals', async (t) => {
  const { proxy, failed } = await startRecorded(t)
  const reset = await proxy.tunnel('reset.test:443')
  const carrier = writeOnly(reset)
  tls.connect({ socket: carrier }).on('error', () => {})
  await reset.read(1)
  reset.socket.resetAndDestroy()
  t.match(await failed.next(), { code: 'ECONNRESET', refused: false })
  t.match(await proxy.log.next(/tunnel to reset.test:443 closed/), { level: 'info', code: 'ECONNRESET' })

  const garbage = await proxy.tunnel('garbage.test:443')
  garbage.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]))
  t.equal((await garbage.closed()).charCodeAt(0), 0x15, 'an alert')
  t.match(await failed.next(), { refused: false, code: /^ERR_SSL_/ })
  t.match(describeHandshakeFailure(new Error('no code')), { code: 'no code', refused: false })
})

t.test('a client that leaves before it was answered is no failure', async (t) => {
  const { proxy, failed } = await startRecorded(t)
  const client = await proxy.tunnel('early.test:443')
  client.socket.end(Buffer.from([0x16, 3, 1, 2, 0, 1]))
  t.match(await proxy.log.next(/tunnel to early.test:443 closed/), { level: 'debug' })
  t.same(failed.messages, [])
})
