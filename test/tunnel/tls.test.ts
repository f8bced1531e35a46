/** TLS inside tunnels: versions, resumption, negotiation, secrets for those who look into the traffic. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import type { Test } from 'tap'
import { have } from '../ca/clients'
import { checkServerIdentity } from '../support/identity'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { jsonOf } from '../support/raw'
import type { RawClient } from '../support/raw'
import { echo, PROX, recorded, run, until } from './support'
import type { HandshakeFailed, TunnelIntercepted } from '../../types/events'

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

async function directory (t: Test): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => rm(path, { recursive: true }))
  return path
}

async function urlOf (client: RawClient): Promise<unknown> {
  return (await jsonOf(client.ask('GET', '/'))).url
}

for (const version of VERSIONS) {
  const only: tls.ConnectionOptions = { minVersion: version, maxVersion: version }

  /** Asks once, so that a ticket has come, and returns the session for the next tunnel. */
  const sessionOf = async (proxy: Proxy, authority: string, options: tls.ConnectionOptions = {}): Promise<Buffer> => {
    const client = await proxy.tls(authority, { ...only, ...options })
    let session = client.socket.getSession()
    client.socket.on('session', (ticket) => { session = ticket })
    await urlOf(client)
    client.socket.end()
    return session!
  }

  t.test(`${version} is spoken`, async (t) => {
    const intercepted = recorded<TunnelIntercepted>(t, 'tunnel:intercepted')
    const proxy = await start(t, { prox: PROX }, echo)
    const client = await proxy.tls('example.com:443', only)
    t.match(await jsonOf(client.ask('GET', '/')), { tunnel: { tlsVersion: version, servername: 'example.com' } })
    t.match(await intercepted.next(), {
      authority: 'example.com:443',
      tlsVersion: version,
      resumed: false,
      remoteAddress: '127.0.0.1'
    })
  })

  t.test(`${version} sessions resume`, async (t) => {
    const path = await directory(t)
    const ca = { file: join(path, 'ca.pem') }
    const proxy = await start(t, { prox: { ...PROX, ca } }, echo)
    const session = await sessionOf(proxy, 'example.com:443')
    const resume = async (
      proxy: Proxy, authority: string, options: tls.ConnectionOptions = {}
    ): Promise<[resumed: boolean, url: unknown]> => {
      const client = await proxy.tls(authority, { ...only, session, ...options })
      return [client.socket.isSessionReused(), await urlOf(client)]
    }
    t.same(await resume(proxy, 'example.com:443'), [true, 'https://example.com/'])
    t.same(await resume(proxy, 'example.com:8443'), [true, 'https://example.com:8443/'])
    const named = await resume(proxy, '10.0.0.1:443', { servername: 'example.com', host: 'example.com' })
    t.same(named, [true, 'https://example.com/'], 'the server name is known')
    t.same(await resume(proxy, 'example.org:443'), [false, 'https://example.org/'], 'not for another certificate')

    const other = await start(t, { prox: { ...PROX, ca } }, echo)
    t.same(await resume(other, 'example.com:443'), [true, 'https://example.com/'], 'by another server with the same CA')
    const stranger = await start(t, { prox: PROX }, echo)
    t.same(await resume(stranger, 'example.com:443'), [false, 'https://example.com/'], 'and not with another CA')
  })

  t.test(`${version} sessions resume in another process`, { skip: have('openssl') }, async (t) => {
    const path = await directory(t)
    const ca = join(path, 'ca.pem')
    const session = join(path, 'session')
    const flag = `-${version.toLowerCase().replace('v', '').replace('.', '_')}`
    for (const [turn, expected] of [['-sess_out', /^New, /m], ['-sess_in', /^Reused, /m]] as const) {
      const proxy = await start(t, { prox: { ...PROX, ca: { file: ca } } }, echo)
      const client = `openssl s_client -proxy 127.0.0.1:${proxy.port} -connect example.com:443 ` +
        `-servername example.com -CAfile ${ca} -verify_return_error -ign_eof ${turn} ${session} ${flag}`
      // Closes its input at once, so that it waits for the ticket no longer than for the answer to a request.
      const { output } = await run('sh', ['-c', `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | ${client}`])
      t.match(output, expected)
      t.match(output, /https:\/\/example.com\//)
      await proxy.app.close()
    }
  })
}

t.test('openssl s_client -reconnect resumes its session each time', { skip: have('openssl') }, async (t) => {
  const intercepted = recorded<TunnelIntercepted>(t, 'tunnel:intercepted')
  const proxy = await start(t, { prox: PROX }, echo)
  const { code, output } = await run('openssl', [
    's_client', '-proxy', `127.0.0.1:${proxy.port}`, '-connect', 'example.com:443', '-reconnect', '-tls1_2'
  ])
  t.equal(code, 0)
  const reused = Array<string>(5).fill('Reused, TLSv1.2')
  t.strictSame(output.match(/^(?:New|Reused), TLSv1\.2/gm), ['New, TLSv1.2', ...reused])
  t.strictSame(intercepted.messages.map(({ resumed }) => resumed), [false, true, true, true, true, true])
})

t.test('ALPN chooses in the order of the proxy', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const chosen = async (ALPNProtocols?: string[]): Promise<[client: string | false | null, server: unknown]> => {
    const client = await proxy.tls('example.com:443', { ...(ALPNProtocols && { ALPNProtocols }) })
    const { alpnProtocol } = client.socket
    if (alpnProtocol === 'h2') return [alpnProtocol, null]
    const { tunnel } = await jsonOf(client.ask('GET', '/')) as { tunnel: { alpn: unknown } }
    return [alpnProtocol, tunnel.alpn]
  }
  t.same(await chosen(), [false, null])
  t.same(await chosen(['http/1.1']), ['http/1.1', 'http/1.1'])
  t.same(await chosen(['http/1.0']), ['http/1.0', 'http/1.0'])
  t.same(await chosen(['http/1.1', 'h2']), ['h2', null], 'ours is the order')
  t.same(await chosen(['http/1.1', 'spdy/3']), ['http/1.1', 'http/1.1'])
  await t.rejects(chosen(['spdy/3']), { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' })
  t.match(await proxy.log.next(/closed: TLS handshake failed/), {
    level: 'info',
    code: 'ERR_SSL_NO_APPLICATION_PROTOCOL'
  })
})

t.test('curl is answered in every version that it speaks', { skip: have('curl') }, async (t) => {
  const path = await directory(t)
  const ca = join(path, 'ca.pem')
  const proxy = await start(t, { prox: { ...PROX, ca: { file: ca } } }, echo)
  const common = ['-sS', '--cacert', ca, '-x', `127.0.0.1:${proxy.port}`, '-o', '/dev/null']
  const curl = async (...args: string[]): Promise<string> => {
    const write = ['-w', '%{http_version} %{response_code}']
    return (await run('curl', [...common, ...write, 'https://example.com/', ...args])).output
  }
  t.equal(await curl('--http2'), '2 200')
  t.equal(await curl('--http1.1'), '1.1 200')
  t.equal(await curl('-0'), '1.1 200')
  t.equal(await curl('--no-alpn'), '1.1 200')
  t.equal(await curl('--tls-max', '1.2'), '2 200')
})

t.test('the tls option sets versions and ciphers', async (t) => {
  const tls = { minVersion: 'TLSv1.3', ciphers: 'TLS_CHACHA20_POLY1305_SHA256' } as const
  const proxy = await start(t, { prox: { ...PROX, tls } }, echo)
  const client = await proxy.tls('example.com:443')
  t.equal(client.socket.getCipher().name, 'TLS_CHACHA20_POLY1305_SHA256')
  const older = proxy.tls('example.com:443', { maxVersion: 'TLSv1.2' })
  await t.rejects(older, { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  t.match(await proxy.log.next(/closed: TLS handshake failed/), { level: 'info', code: 'ERR_SSL_UNSUPPORTED_PROTOCOL' })
})

t.test('ciphers are chosen in the order of the proxy, the quickest first', async (t) => {
  const cipherOf = async (options: object): Promise<string> => {
    const proxy = await start(t, { prox: { ...PROX, tls: options } }, echo)
    return (await proxy.tls('example.com:443')).socket.getCipher().name
  }
  t.equal(await cipherOf({}), 'TLS_AES_128_GCM_SHA256')
  const ofClient = tls.DEFAULT_CIPHERS.split(':')[0]
  t.equal(await cipherOf({ honorCipherOrder: false }), ofClient, 'the client has an order of its own')
})

t.test('the TLS server name decides which host a tunnel is for', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const ask = async (authority: string, options: tls.ConnectionOptions): Promise<unknown> => {
    const client = await proxy.tls(authority, options)
    const { url, tunnel } = await jsonOf(client.ask('GET', '/')) as { url: string, tunnel: { servername: unknown } }
    return [url, tunnel.servername]
  }
  const host = 'example.com'
  t.same(await ask('example.org:443', { servername: 'example.com', host }), ['https://example.com/', 'example.com'])
  const otherPort = await ask('example.org:8443', { servername: 'EXAMPLE.com', host })
  t.same(otherPort, ['https://example.com:8443/', 'example.com'])
  t.same(await ask('127.0.0.1:443', {}), ['https://127.0.0.1/', null], 'none: the CONNECT host')
  t.same(await ask('[::1]:443', {}), ['https://[::1]/', null])
  const names = [
    '::1', '[::1]', '2001:db8::1', '127.0.0.1', 'example.org:443', 'a..b', 'fe80::1%lo', '*.b', 'b\x01', 'b'.repeat(254)
  ]
  for (const servername of names) {
    const options: tls.ConnectionOptions = {
      servername, checkServerIdentity: (_servername, certificate) => checkServerIdentity('example.com', certificate)
    }
    // Newer versions of Node send no address as a server name; openssl does.
    const told = await ask('example.com:443', options).catch((err: NodeJS.ErrnoException) => {
      if (err.code !== 'ERR_INVALID_ARG_VALUE') throw err
      return null
    })
    if (told === null) continue
    t.same(told, ['https://example.com/', null], `${servername}: none`)
    const line = proxy.log.lines.filter(({ msg }) => /the TLS server name is not a host name/.test(msg)).at(-1)
    t.match(line, { level: 'debug', servername: servername.slice(0, 253) })
  }
})

t.test('a name without a certificate fails the handshake', async (t) => {
  const failed = recorded<HandshakeFailed>(t, 'handshake:failed')
  const proxy = await start(t, { prox: { ...PROX, ca: { store: new Map(), permit: ['.test'] } } }, echo)
  t.equal((await proxy.tls('a.test:443')).socket.authorized, true)
  await t.rejects(proxy.tls('example.com:443'), { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' })
  t.match(await failed.next(), { code: 'FST_PROX_HOST_NOT_PERMITTED', refused: false, servername: 'example.com' })
  t.match(await proxy.log.next(/tunnel to example.com:443 closed: no certificate/), {
    level: 'info',
    code: 'FST_PROX_HOST_NOT_PERMITTED'
  })
})

t.test('a CA that cannot sign fails the handshake', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const { proxyCA } = proxy.app
  const atOnce = (): never => { throw new Error('at once') }
  const later = async (): Promise<never> => { throw new Error('later') }
  for (const leaf of [atOnce, later]) {
    Object.defineProperty(proxyCA, 'leaf', { value: leaf, configurable: true })
    await t.rejects(proxy.tls('example.com:443'), { code: 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR' })
  }
  t.match(await proxy.log.next(/no certificate: at once/), { level: 'error', err: { message: 'at once' } })
  t.match(await proxy.log.next(/no certificate: later/), { level: 'error', err: { message: 'later' } })

  await t.test('and says nothing of it for a client that has left', async (t) => {
    let fail: ((err: Error) => void) | undefined
    const leaf = (): Promise<never> => new Promise((_resolve, reject) => { fail = reject })
    Object.defineProperty(proxyCA, 'leaf', { value: leaf, configurable: true })
    const { socket } = await proxy.tunnel('left.test:443')
    tls.connect({ socket }).on('error', () => {})
    await until(() => fail !== undefined)
    socket.resetAndDestroy()
    t.match(await proxy.log.next(/tunnel to left.test:443 closed/), { level: 'debug', code: 'ECONNRESET' })
    fail!(new Error('too late'))
  })
})

t.test('a certificate that is minted for a client that leaves meanwhile goes nowhere', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const { proxyCA } = proxy.app
  const real = await proxyCA.leaf('left.test')
  let mint: (() => void) | undefined
  const leaf = (): Promise<unknown> => new Promise((resolve) => { mint = () => resolve(real) })
  Object.defineProperty(proxyCA, 'leaf', { value: leaf })
  const { socket } = await proxy.tunnel('left.test:443')
  tls.connect({ socket }).on('error', () => {})
  await until(() => mint !== undefined)
  socket.resetAndDestroy()
  t.match(await proxy.log.next(/tunnel to left.test:443 closed/), { level: 'debug', code: 'ECONNRESET' })
  mint!()
  await until(async () => await proxy.connections() === 0)
})

t.test('a client that renegotiates again and again is disconnected', async (t) => {
  const proxy = await start(t, { prox: PROX }, echo)
  const client = await proxy.tls('example.com:443', { maxVersion: 'TLSv1.2' })
  let renegotiations = 0
  const again = (): void => {
    client.socket.renegotiate({}, (err) => {
      if (err !== null) return
      renegotiations++
      again()
    })
  }
  again()
  await once(client.socket, 'close')
  t.match(await proxy.log.next(/tunnel to example.com:443 closed/), { code: 'ERR_TLS_SESSION_ATTACK' })
  t.ok(renegotiations < 10)
})
