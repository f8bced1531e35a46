/** Tunnels that are passed through: what is dialled, what is relayed, and how they end. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import type { LookupAddress } from 'node:dns'
import { Duplex } from 'node:stream'
import type { PrepareRequestFunctionOpts } from 'proxy-chain' with { 'resolution-mode': 'import' }
import t from 'tap'
import type { Test } from 'tap'
import fastifyProx from '../../plugin/index'
import { relayBoth } from '../../plugin/tunnel/relay'
import { Tunnel } from '../../plugin/tunnel/tunnel'
import { have } from '../ca/clients'
import { secure } from '../support/proxy'
import { LOCAL, startHost, startPassing, startSite } from './passing'
import { recorded, run, until } from './support'
import type { TunnelClosed, TunnelOpened } from '../../types/events'

const { pass } = fastifyProx
const MEGABYTE = 2 ** 20

type Answers = Record<string, Array<LookupAddress | string>>

/** A DNS that answers from a table. */
function lookupIn (answers: Answers): NonNullable<fastifyProx.PassOptions['lookup']> {
  return (hostname, _options, callback) => callback(null, (answers[hostname] ?? []).map((address) =>
    typeof address === 'string' ? { address, family: address.includes(':') ? 6 : 4 } : address))
}

t.test('the client sees the certificate of the real site, and verifies it', async (t) => {
  const opened = recorded<TunnelOpened>(t, 'tunnel:opened')
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const site = await startSite(t, 'the real site')
  const proxy = await startPassing(t)
  const authority = `localhost:${site.port}`
  const socket = (await proxy.tunnel(authority)).detach()
  const client = await secure(t, socket, authority, { ca: site.root })
  const { body } = await client.ask('GET', '/', { connection: 'close' })
  t.equal(body, 'the real site')
  await client.closed()
  client.socket.end()
  t.match(await opened.next(), { authority, passed: true, remoteAddress: '127.0.0.1' })
  const end = await closed.next()
  t.match(end, { authority, passed: true, code: 'UPSTREAM_CLOSED', requests: 0 })
  t.ok(end.bytesRead > 300 && end.bytesWritten > 1_000, 'bytes are counted')
  await until(() => site.sockets.size === 0)
  t.same(proxy.log.lines.filter(({ level }) => level === 'warn' || level === 'error'), [])
})

t.test('programs verify the real site', { skip: have('curl openssl') }, async (t) => {
  const site = await startSite(t, 'the real site')
  const proxy = await startPassing(t)
  const directory = t.testdir({ 'root.pem': site.root, 'proxy.pem': proxy.app.proxyCA.certificatePem })
  const url = `https://localhost:${site.port}/`
  const curl = ['-sS', '-x', `127.0.0.1:${proxy.port}`, '--noproxy', '', url]
  t.same(await run('curl', ['--cacert', `${directory}/root.pem`, ...curl]), { code: 0, output: 'the real site' })
  t.equal(
    (await run('curl', ['--cacert', `${directory}/proxy.pem`, ...curl])).code, 60, 'and not what this CA has signed'
  )
  const { output } = await run('openssl', [
    's_client', '-proxy', `127.0.0.1:${proxy.port}`, '-connect', `localhost:${site.port}`, '-servername', 'localhost',
    '-CAfile', `${directory}/root.pem`, '-verify_return_error', '-verify_hostname', 'localhost'
  ])
  t.match(output, /issuer=.*CN ?= ?The root of the real site[^]*Verify return code: 0 \(ok\)/)
})

t.test('every protocol passes, also one in which the host speaks first', async (t) => {
  const host = await startHost(t, (socket) => {
    socket.write('220 ready\r\n')
    socket.on('data', (bytes) => socket.write(`got ${bytes}`))
  })
  const proxy = await startPassing(t)
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`)
  t.equal(await client.read(11), '220 ready\r\n')
  client.write('EHLO')
  t.equal(await client.read(8), 'got EHLO')
  const socket = (await proxy.client()).socket
  socket.write(`CONNECT 127.0.0.1:${host.port} HTTP/1.1\r\nHost: a\r\n\r\nat once`)
  const all: Buffer[] = []
  for await (const bytes of socket) {
    all.push(bytes as Buffer)
    if (Buffer.concat(all).includes('got at once')) break
  }
  t.match(Buffer.concat(all).toString(), /^HTTP\/1.1 200 Connection Established\r\n\r\n220 ready\r\ngot at once$/)
})

t.test('nothing is passed through without that word', async (t) => {
  const proxy = await startPassing(
    t, {}, { prox: { onConnect: (() => ({ allow: 'public', timeout: 1, via: false })) as never } }
  )
  const { response } = await proxy.connect('localhost:1')
  t.match(response, { status: 500, body: /FST_PROX_BAD_DECISION.*pass\(\) or nothing/ })
})

t.test('the host is dialled before the CONNECT is answered', async (t) => {
  const lookup: fastifyProx.PassOptions['lookup'] = (hostname, options, callback) => {
    if (hostname !== 'slow.test') lookupIn({ 'localhost.test': ['127.0.0.1'] })(hostname, options, callback)
  }
  const proxy = await startPassing(t, { timeout: 100, lookup })
  const closing = await startHost(t, () => {})
  const free = closing.port
  const ask = async (authority: string): Promise<unknown[]> => {
    const { response } = await proxy.connect(authority)
    return [response.status, JSON.parse(response.body).code]
  }
  t.strictSame(await ask('unknown.test:443'), [502, 'FST_PROX_UPSTREAM_UNRESOLVED'])
  t.strictSame(await ask('localhost.test:1'), [502, 'FST_PROX_UPSTREAM_UNREACHABLE'])
  t.strictSame(await ask('slow.test:443'), [504, 'FST_PROX_UPSTREAM_TIMEOUT'])
  t.strictSame(await ask('10.0.0.1:443'), [403, 'FST_PROX_ADDRESS_REFUSED'])
  t.equal((await proxy.connect(`localhost.test:${free}`)).response.status, 200)
  const failures = [
    ...new Set(proxy.log.lines.filter(({ err }) => err !== undefined).map(({ err }) => (err as Error).message))
  ]
  t.match(failures, [
    /unknown.test cannot be resolved/, /No connection to localhost.test:1: ECONNREFUSED/,
    /slow.test took too long \(resolve\)/, /10.0.0.1 is 10.0.0.1/
  ])
})

t.test('an address that is not allowed is refused, in every form', async (t) => {
  const names: Answers = {
    'loopback.test': ['127.0.0.1'],
    'mixed.test': ['1.1.1.1', 'fd00::1'],
    'mapped.test': ['::ffff:10.0.0.1'],
    'metadata.test': ['169.254.169.254']
  }
  let dialled = 0
  const host = await startHost(t, () => { dialled++ })
  const proxy = await startPassing(t, { allow: 'public', lookup: lookupIn(names) })
  const forms = [
    ...Object.keys(
      names
    ), '127.0.0.1', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.0.1', '100.64.0.1', '169.254.169.254', '224.0.0.1',
    '[::1]', '[::]', '[::ffff:127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[fd00::1]', '[fe80::1]', '[ff02::1]'
  ]
  for (const form of forms) {
    const { response } = await proxy.connect(`${form}:${host.port}`)
    t.match(response, { status: 403, body: /FST_PROX_ADDRESS_REFUSED/ }, form)
  }
  for (const form of ['127.1', '2130706433', '0x7f000001', '0177.0.0.1']) {
    t.equal(
      (await proxy.connect(`${form}:${host.port}`)).response.status, 400, form
    )
  }
  t.equal(dialled, 0)
})

t.test('the proxy itself is never dialled', async (t) => {
  const proxy = await startPassing(t, { allow: () => true, lookup: lookupIn({ 'self.test': ['::ffff:127.0.0.1'] }) })
  for (const host of ['127.0.0.1', 'self.test', '[::ffff:127.0.0.1]']) {
    t.match((await proxy.connect(`${host}:${proxy.port}`)).response, { status: 403, body: /this proxy itself/ }, host)
  }
  const byItself = await startPassing(t, { via: () => `http://127.0.0.1:${byItself.port}` })
  t.match((await byItself.connect('127.0.0.1:443')).response, { status: 403, body: /this proxy itself/ })
})

t.test('the address that was checked is the one that is dialled, whatever the DNS says next', async (t) => {
  const host = await startHost(t, (socket) => socket.end('the host'))
  const answers = [['127.0.0.1'], ['10.0.0.1'], ['127.0.0.1']]
  let asked = 0
  const lookup: fastifyProx.PassOptions['lookup'] = (
    _hostname, options, callback
  ) => lookupIn({ name: answers[asked++]! })('name', options, callback)
  const proxy = await startPassing(t, { lookup })
  t.equal(await (await proxy.tunnel(`a.test:${host.port}`)).closed(), 'the host')
  t.equal(asked, 1, 'one look-up')
  t.equal((await proxy.connect(`a.test:${host.port}`)).response.status, 403, 'the answer has changed')
})

t.test('a function allows, by name and address', async (t) => {
  const host = await startHost(t, (socket) => socket.end('the host'))
  const seen: unknown[] = []
  const allow: fastifyProx.AllowAddresses = async (addresses, { hostname, port }) => {
    seen.push([addresses, hostname, port])
    return hostname === 'good.test'
  }
  const proxy = await startPassing(
    t, { allow, lookup: lookupIn({ 'good.test': ['127.0.0.1'], 'bad.test': ['127.0.0.1'] }) }
  )
  t.equal(await (await proxy.tunnel(`good.test:${host.port}`)).closed(), 'the host')
  t.equal((await proxy.connect(`bad.test:${host.port}`)).response.status, 403)
  t.equal((await proxy.connect(`[::1]:${host.port}`)).response.status, 403)
  t.strictSame(
    seen, [[['127.0.0.1'], 'good.test', host.port], [['127.0.0.1'], 'bad.test', host.port], [['::1'], '::1', host.port]]
  )
})

t.test('a tunnel may pass by an upstream proxy', async (t) => {
  const { Server } = await import('proxy-chain')
  const asked: string[] = []
  const upstream = new Server({
    host: '127.0.0.1',
    port: 0,
    prepareRequestFunction: ({ hostname, port, username, password }: PrepareRequestFunctionOpts) => {
      asked.push(`${hostname}:${port}`)
      return { requestAuthentication: username !== 'me' || password !== 'secret' }
    }
  })
  await upstream.listen()
  t.teardown(() => upstream.close(true))
  const host = await startHost(t, (socket) => socket.end('the host'))
  const by = `http://me:secret@127.0.0.1:${upstream.port}`
  const authority = `127.0.0.1:${host.port}`
  const answered = async (via: fastifyProx.PassOptions['via']): Promise<string> => {
    const proxy = await startPassing(t, { via })
    return await (await proxy.tunnel(authority)).closed()
  }
  t.equal(await answered(by), 'the host')
  t.equal(await answered(
    ({ hostname, port }) => hostname === '127.0.0.1' && port === host.port ? new URL(by) : null
  ), 'the host')
  const { https_proxy: before, no_proxy: excepted } = process.env
  t.teardown(() => Object.assign(process.env, { https_proxy: before ?? '', no_proxy: excepted ?? '' }))
  Object.assign(process.env, { https_proxy: by, no_proxy: '' })
  t.equal(await answered('env'), 'the host')
  t.strictSame(asked, [authority, authority, authority])

  const refused = await startPassing(t, { via: `http://me:wrong@127.0.0.1:${upstream.port}` })
  const { response } = await refused.connect(authority)
  t.match(response, { status: 502, body: /FST_PROX_UPSTREAM_PROXY.*407/ })
  t.notMatch(response.body, /wrong/)
  const secured = await startPassing(t, { via: `https://127.0.0.1:${(await startSite(t, '')).port}` })
  t.match((await secured.connect(authority)).response, {
    status: 502, body: /FST_PROX_UPSTREAM_TLS/
  }, 'whose certificate is verified')
})

t.test('each side may go on when the other has ended its own', async (t) => {
  const host = await startHost(t, (socket) => {
    let received = ''
    socket.on('data', (bytes) => { received += bytes })
    socket.on('end', () => setTimeout(() => socket.end(`all of ${received}`), 20))
  })
  const early = await startHost(t, (socket) => {
    socket.end('early')
    socket.on('data', (bytes) => { if (String(bytes) === 'late') seen(bytes) })
  })
  let seen: (bytes: Buffer) => void = () => {}
  const late = new Promise((resolve) => { seen = resolve })
  const proxy = await startPassing(t)
  const connection = { ...proxy.connection, allowHalfOpen: true } as net.NetConnectOpts
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`, {}, connection)
  client.socket.end('my side')
  t.equal(await client.closed(), 'all of my side')
  const silent = await proxy.tunnel(`127.0.0.1:${host.port}`, {}, connection)
  silent.socket.end()
  t.equal(await silent.closed(), 'all of ', 'also without a byte')
  const other = await proxy.tunnel(`127.0.0.1:${early.port}`, {}, connection)
  t.equal(await other.closed(), 'early')
  other.socket.end('late')
  await late
  await until(() => host.sockets.size + early.sockets.size === 0)
})

t.test('who is slow holds the other back, and nothing is lost', async (t) => {
  const content = randomBytes(16 * MEGABYTE)
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
  let host: net.Socket | undefined
  const { port } = await startHost(t, (socket) => { host = socket })
  const proxy = await startPassing(t)
  const client = (await proxy.tunnel(`127.0.0.1:${port}`)).detach()
  await until(() => host !== undefined)

  const send = async (from: net.Socket): Promise<void> => {
    for (let at = 0; at < content.length; at += 65_536) from.write(content.subarray(at, at + 65_536))
    let last = -1
    // Until nothing more goes off: what the system holds on the way is not ours.
    while (from.writableLength !== last) {
      last = from.writableLength
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.ok(last > MEGABYTE, `${last} bytes wait at their source`)
  }
  const readAll = async (socket: net.Socket): Promise<Buffer> => {
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      chunks.push(chunk as Buffer)
      length += (chunk as Buffer).length
      if (length === content.length) break
    }
    return Buffer.concat(chunks)
  }
  await send(host!)
  t.equal(digest(await readAll(client)), digest(content), 'to the client')
  await send(client)
  t.equal(digest(await readAll(host!)), digest(content), 'to the host')
})

t.test('a reset of one side reaches the other as one', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const errors: string[] = []
  const host = await startHost(t, (socket) => {
    socket.on('error', (err: NodeJS.ErrnoException) => errors.push(err.code!))
    socket.write('ready')
    socket.on('data', () => socket.resetAndDestroy())
  })
  const proxy = await startPassing(t)
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`)
  await client.read(5)
  const [error] = await Promise.all([once(client.socket, 'error'), client.write('reset')])
  t.match(error, [{ code: 'ECONNRESET' }])
  t.match(await closed.next(), { code: 'UPSTREAM_FAILED', reason: 'the connection to the host broke: ECONNRESET' })

  const other = await proxy.tunnel(`127.0.0.1:${host.port}`)
  await other.read(5)
  other.socket.resetAndDestroy()
  t.match(await closed.next(), { code: 'ECONNRESET' })
  await until(() => errors.length === 1)
  t.same(errors, ['ECONNRESET'])
})

t.test('timeouts.passIdle ends a tunnel on which nothing moves', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const host = await startHost(t, (socket) => socket.pipe(socket))
  const proxy = await startPassing(
    t, {}, { prox: { timeouts: { passIdle: 60, firstByte: 10, idle: 10, handshake: 10 } } }
  )
  const silent = await proxy.tunnel(`127.0.0.1:${host.port}`)
  const busy = await proxy.tunnel(`127.0.0.1:${host.port}`)
  let sent = 0
  const drip = setInterval(() => {
    sent++
    busy.write('x')
  }, 10)
  t.equal(await silent.closed(), '')
  t.match(await closed.next(), { code: 'IDLE_TIMEOUT', passed: true })
  await until(() => sent > 20)
  clearInterval(drip)
  t.ok((await busy.closed()).length >= 20, 'this one was not silent for as long')
  await until(() => host.sockets.size === 0)
  const patient = await startPassing(t, {}, { prox: { timeouts: { passIdle: 0, firstByte: 10, handshake: 10 } } })
  const kept = await patient.tunnel(`127.0.0.1:${host.port}`)
  await new Promise((resolve) => setTimeout(resolve, 50))
  kept.write('still there')
  t.equal(await kept.read(11), 'still there')
})

t.test('a host that still reads is waited for when the client has gone, as long as it does not stop', async (t) => {
  const content = Buffer.alloc(32 * MEGABYTE)
  const hosts: net.Socket[] = []
  const { port } = await startHost(t, (socket) => {
    hosts.push(socket.pause())
    socket.end()
  })
  const relayed = async (idle: number): Promise<{ client: Duplex, upstream: net.Socket, host: net.Socket }> => {
    const client = Object.assign(new Duplex({ read () {}, write: (_chunk, _encoding, callback) => callback() }), {
      setKeepAlive () {}
    })
    const upstream = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await until(() => hosts.length === 1)
    const tunnel = new Tunnel(client as unknown as net.Socket, {} as never)
    relayBoth(tunnel, upstream, { timeouts: { passIdle: idle } } as never)
    client.push(content)
    client.push(null)
    await once(client, 'close')
    return { client, upstream, host: hosts.pop()! }
  }
  const { host } = await relayed(60_000)
  let received = 0
  for await (const bytes of host) received += (bytes as Buffer).length
  t.equal(received, content.length)
  const { upstream } = await relayed(20)
  await once(upstream, 'close')
})

t.test('limits count tunnels that are passed through', async (t) => {
  const host = await startHost(t, (socket) => socket.pipe(socket))
  const proxy = await startPassing(t, {}, { prox: { limits: { tunnelsPerClient: 1 } } })
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`)
  t.equal((await proxy.connect(`127.0.0.1:${host.port}`)).response.status, 503)
  client.socket.destroy()
  await until(async () => (await proxy.connect(`127.0.0.1:${host.port}`)).response.status === 200)
})

t.test('fastify.close() leaves tunnels that are passed through the grace period', async (t) => {
  const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
  const host = await startHost(t, (socket) => {
    socket.on('data', (bytes) => socket.end(`last ${bytes}`))
    socket.on('end', () => socket.end())
  })
  const never = startPassing(t, { lookup: () => {}, timeout: 0 }, { prox: { timeouts: { close: 50 } } })
  const dialling = (await (await never).client())
  dialling.write('CONNECT never.test:443 HTTP/1.1\r\nHost: a\r\n\r\n')
  await (await never).log.next(/incoming request/)
  await (await never).app.close()
  t.equal(await dialling.closed(), '', 'one that waits for its host ends')

  let answer = (): void => {}
  let ask = (): void => {}
  const asked = new Promise<void>((resolve) => { ask = resolve })
  const slow = await startPassing(t, {
    lookup: (_hostname, _options, callback) => {
      answer = () => callback(null, [{ address: '127.0.0.1', family: 4 }])
      ask()
    }
  })
  const late = await slow.client()
  late.write(`CONNECT slow.test:${host.port} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await asked
  const closing = slow.app.close()
  answer()
  t.match(await late.response(), { status: 503, body: /FST_PROX_CLOSING/ }, 'one whose host is there too late')
  await closing

  const proxy = await startPassing(t, {}, { prox: { timeouts: { close: 10_000 } } })
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`)
  const ended = proxy.app.close()
  await new Promise((resolve) => setTimeout(resolve, 100))
  client.write('words')
  t.equal(await client.closed(), 'last words')
  client.socket.end()
  await ended
  t.match(await closed.next(), { code: 'UPSTREAM_CLOSED' })

  const hasty = await startPassing(t, {}, { prox: { timeouts: { close: 50 } } })
  const open = await hasty.tunnel(`127.0.0.1:${host.port}`)
  await hasty.app.close()
  t.equal(await open.closed(), '')
  t.match(await closed.next(), { code: 'PROXY_CLOSED' })
  await until(() => host.sockets.size === 0)
})

t.test('a client that leaves while its host is dialled takes the dialling with it', async (t) => {
  const host = await startHost(t, () => {})
  for (const late of [false, true]) {
    let asked = (): void => {}
    const looking = new Promise<void>((resolve) => { asked = resolve })
    let answer = (): void => {}
    const lookup: fastifyProx.PassOptions['lookup'] = (_hostname, _options, callback) => {
      answer = () => callback(null, [{ address: '127.0.0.1', family: 4 }])
      asked()
    }
    let allow = (): void => {}
    const allowed = new Promise<void>((resolve) => { allow = resolve })
    const proxy = await startPassing(t, { lookup, timeout: 0, allow: async () => await allowed.then(() => true) })
    const client = await proxy.client()
    client.write(`CONNECT slow.test:${host.port} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await looking
    // Either the look-up is under way, or the addresses are being checked.
    if (late) answer()
    client.socket.resetAndDestroy()
    await once(client.socket, 'close')
    await proxy.app.close()
    allow()
    answer()
    t.match(await proxy.log.next(/the client left before it was open|The proxy is closing/), { level: /info|error/ })
    t.same(proxy.log.messages('error').filter((msg) => !/closing/.test(msg)), [])
  }
  t.equal(host.sockets.size, 0)
})

t.test('a tunnel may pass on a connection to the proxy by TLS', async (t: Test) => {
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const host = await startHost(t, (socket) => {
    socket.on('data', (bytes) => socket.write(bytes))
    socket.on('end', () => socket.end('end'))
  })
  const proxy = await startPassing(t, {}, {
    fastify: { https: { key, cert } },
    prox: { ca },
    secure: {
      ca: ca.certificatePem, servername: 'localhost', allowHalfOpen: true
    } as never
  })
  const client = await proxy.tunnel(`127.0.0.1:${host.port}`)
  client.write('hello')
  t.equal(await client.read(5), 'hello')
  client.socket.end()
  t.equal(await client.closed(), 'end')
  const breaking = await startHost(t, (socket) => socket.on('data', () => socket.resetAndDestroy()))
  const broken = await proxy.tunnel(`127.0.0.1:${breaking.port}`)
  broken.write('go')
  t.equal(await broken.closed(), '')
})

t.test('pass takes no other options', async (t) => {
  for (const options of [
    { allow: 'private' }, { allow: ['a b'] }, { via: 'nonsense' }, { timeout: -1 }, { lookup: 5 }, { alow: [] }
  ]) {
    t.throws(() => pass(options as never), { code: /FST_PROX_(?:INVALID|UNKNOWN)_OPTION/ }, JSON.stringify(options))
  }
  t.equal(pass(), pass(), 'one decision for all that want the defaults')
  t.match(pass(), { allow: 'public', via: false, timeout: 10_000 })
  t.match(pass({ allow: LOCAL, timeout: 0 }), { allow: LOCAL, timeout: 0 })
})
