/**
 * Tunnels as transcripts, without a network: what a client sends over a pair of streams, what it gets for it, and what
 * becomes of the tunnel.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/index'
import { serveTunnel } from '../../plugin/tunnel/intercept'
import type { InterceptOptions } from '../../plugin/tunnel/intercept'
import { OutcomeReporter } from '../../plugin/tunnel/outcome'
import type { PassDialer } from '../../plugin/tunnel/pass'
import { Tunnel } from '../../plugin/tunnel/tunnel'
import type { TunnelRequest } from '../../plugin/tunnel/tunnel'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const TIMEOUTS = { firstByte: 1_000, handshake: 1_000, idle: 0, passIdle: 0, close: 0 }

interface Line {
  readonly level: string
  readonly code?: string
  readonly message: string
}

interface Changes {
  readonly authorize?: TunnelRequest['authorize']
  readonly leaf?: InterceptOptions['ca']['leaf']
  readonly http2?: boolean
}

/** A CONNECT for `a.test:443` that has been answered, and the two ends of its tunnel. */
class Conversation {
  readonly client: Duplex
  readonly tunnel: Tunnel
  readonly log: Line[] = []
  /** Which server got the socket, and what it has read of it. */
  served: string | null = null
  received = ''
  readonly #ca: CertificateAuthority
  readonly #options: InterceptOptions
  readonly #closed: Promise<void>

  constructor (ca: CertificateAuthority, reporter: OutcomeReporter, changes: Changes) {
    const { authorize = () => {}, leaf, http2 = true } = changes
    const [client, side] = duplexPair()
    this.client = client.on('error', () => {})
    const line = (level: string) => (fields: { code?: string }, message: string) => {
      this.log.push({ level, code: fields.code, message })
    }
    const log = Object.fromEntries(['debug', 'info', 'warn', 'error'].map((level) => [level, line(level)]))
    this.tunnel = new Tunnel(asSocket(side), {
      id: 'req-1',
      target: { hostname: 'a.test', port: 443 },
      authority: 'a.test:443',
      credentials: null,
      remoteAddress: '192.0.2.1',
      log: log as unknown as TunnelRequest['log'],
      authorize
    })
    this.#closed = new Promise((resolve) => {
      side.on('error', () => {}).on('close', () => {
        reporter.closed(this.tunnel)
        resolve()
      })
    })
    const serverOf = (name: string): InterceptOptions['http1'] => ({
      serve: (socket) => {
        this.served = name
        socket.on('data', (bytes) => { this.received += bytes.toString('latin1') })
      }
    })
    this.#ca = ca
    this.#options = {
      ca: { leaf: leaf ?? (async (...args) => await ca.leaf(...args)) },
      http1: serverOf('http1'),
      http2: http2 ? serverOf('http2') : null,
      reporter,
      passDialer: { dial: async () => null } as Partial<PassDialer> as PassDialer,
      timeouts: TIMEOUTS,
      keyLog: null
    }
  }

  async begin (head = ''): Promise<void> {
    await serveTunnel(this.tunnel, null, Buffer.from(head, 'latin1'), this.#options)
  }

  /** TLS on the client's end, which trusts the CA unless told otherwise. */
  tls (options: tls.ConnectionOptions = {}): tls.TLSSocket {
    const { certificatePem } = this.#ca
    return tls.connect({ socket: this.client, host: 'a.test', servername: 'a.test', ca: certificatePem, ...options })
  }

  /** Waits for the end of the tunnel, and tells the log line about it. */
  async ended (): Promise<Line> {
    await this.#closed
    return this.log.at(-1)!
  }
}

/** What the tunnel expects of a socket beyond a stream. */
function asSocket (stream: Duplex): Socket {
  return Object.assign(stream, {
    bytesRead: 0,
    bytesWritten: 0,
    setKeepAlive: () => stream,
    setTimeout: () => stream,
    // A stream of a pair has not finished before the other one has read all, or ever when that is destroyed.
    destroySoon: () => {
      stream.end()
      setImmediate(() => stream.destroy())
    }
  }) as unknown as Socket
}

async function clientHello (servername: string): Promise<Buffer> {
  const [socket, side] = duplexPair()
  const client = tls.connect({ socket, servername }).on('error', () => {})
  const [bytes] = await once(side, 'data') as [Buffer]
  client.destroy()
  return bytes
}

function isForA (_host: string, certificate: tls.PeerCertificate): Error | undefined {
  return tls.checkServerIdentity('a.test', certificate)
}

t.test('serveTunnel', async (t) => {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const reporter = new OutcomeReporter(ca)
  const converse = (changes: Changes = {}): Conversation => new Conversation(ca, reporter, changes)

  t.test('HTTP/1.1 goes to its server, with all that was sent', async (t) => {
    const conversation = converse()
    const begun = conversation.begin()
    conversation.client.write('GET / HT')
    conversation.client.write('TP/1.1\r\n\r\n')
    await begun
    await once(conversation.tunnel.innerSocket!, 'data')
    t.equal(conversation.served, 'http1')
    t.equal(conversation.received.slice(0, 8), 'GET / HT')
    t.match(conversation.tunnel.origin, { scheme: 'http', hostname: 'a.test', port: 443 })
    t.match(conversation.tunnel.info, { servername: null, alpn: null, tlsVersion: null })
    t.ok(Object.isFrozen(conversation.tunnel.info))
  })

  t.test('bytes that came with the CONNECT are the first ones', async (t) => {
    const conversation = converse()
    await conversation.begin('GET / HTTP/1.1\r\n\r\n')
    t.equal(conversation.served, 'http1')
  })

  t.test('the preface of HTTP/2 goes to its server', async (t) => {
    const conversation = converse()
    await conversation.begin(PREFACE)
    t.equal(conversation.served, 'http2')
  })

  t.test('the preface of HTTP/2 ends the tunnel where HTTP/2 is turned off', async (t) => {
    const conversation = converse({ http2: false })
    await conversation.begin(PREFACE)
    t.match(await conversation.ended(), { level: 'info', code: 'HTTP2_DISABLED' })
    t.equal(conversation.served, null)
  })

  t.test('bytes of no known protocol end the tunnel', async (t) => {
    const conversation = converse()
    await conversation.begin('\0\x01\x02')
    t.match(await conversation.ended(), { level: 'info', code: 'PROTOCOL_UNKNOWN', message: /neither TLS nor HTTP/ })
  })

  t.test('a client that says nothing has its time', async (t) => {
    const conversation = converse()
    const begun = conversation.begin()
    t.equal(conversation.tunnel.state, 'sniffing')
    conversation.tunnel.watch!.check(Date.now())
    t.notOk(conversation.tunnel.socket.destroyed)
    conversation.tunnel.watch!.check(Infinity)
    t.match(await conversation.ended(), { level: 'debug', code: 'FIRST_BYTE_TIMEOUT' })
    await begun
  })

  t.test('a client that ends before it says anything ends its tunnel', async (t) => {
    const conversation = converse()
    const begun = conversation.begin()
    conversation.client.end()
    await begun
    t.match(await conversation.ended(), { code: 'CLOSED_BEFORE_FIRST_BYTE' })
  })

  t.test('half of a ClientHello has the time of a handshake', async (t) => {
    const conversation = converse()
    const begun = conversation.begin('\x16\x03\x01\x02\x00\x01')
    await once(conversation.tunnel.socket, 'readable')
    await new Promise(setImmediate)
    t.equal(conversation.tunnel.state, 'handshake')
    conversation.tunnel.watch!.check(Infinity)
    t.match(await conversation.ended(), { level: 'debug', code: 'HANDSHAKE_TIMEOUT' })
    await begun
  })

  for (const [protocol, server] of [['http/1.1', 'http1'], ['h2', 'http2']] as const) {
    t.test(`TLS with ${protocol} goes to its server when the handshake has ended`, async (t) => {
      const conversation = converse()
      const begun = conversation.begin()
      const client = conversation.tls({ ALPNProtocols: [protocol] })
      await once(client, 'secureConnect')
      await begun
      t.equal(conversation.served, server)
      t.match(conversation.tunnel.info, { servername: 'a.test', alpn: protocol, tlsVersion: 'TLSv1.3' })
      t.match(conversation.tunnel.origin, { scheme: 'https', hostname: 'a.test' })
      client.write('hello')
      await once(conversation.tunnel.innerSocket!, 'data')
      t.equal(conversation.received, 'hello')
    })
  }

  t.test('a server name that differs is asked for, and served when it is allowed', async (t) => {
    const asked: string[] = []
    const conversation = converse({ authorize: (hostname) => { asked.push(hostname) } })
    const begun = conversation.begin()
    await once(conversation.tls({ servername: 'b.test', host: 'b.test' }), 'secureConnect')
    await begun
    t.strictSame(asked, ['b.test'])
    t.match(conversation.tunnel.origin, { hostname: 'b.test', port: 443 })
  })

  t.test('a server name that is no host name counts as none', async (t) => {
    const conversation = converse({ authorize: () => { t.fail('it was asked for') } })
    const begun = conversation.begin()
    await once(conversation.tls({ servername: 'a..b', checkServerIdentity: isForA }), 'secureConnect')
    await begun
    t.match(conversation.log, [{ level: 'debug', message: /the TLS server name is not a host name/ }])
    t.match(conversation.tunnel, { info: { servername: null }, origin: { hostname: 'a.test' } })
  })

  const refusals: Record<string, [err: object, alert: string, level: string]> = {
    'the policy refuses a name': [
      { code: 'FST_PROX_CONNECT_REFUSED', statusCode: 403 }, 'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', 'info'
    ],
    'the CA has no certificate for a name': [
      { code: 'NO_NAME', statusCode: 421 }, 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME', 'info'
    ],
    'the CA fails': [{}, 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'error']
  }
  for (const [what, [properties, alert, level]] of Object.entries(refusals)) {
    t.test(`${what}: ${alert}`, async (t) => {
      const conversation = converse({ leaf: async () => { throw Object.assign(new Error('no'), properties) } })
      const begun = conversation.begin()
      const [err] = await once(conversation.tls(), 'error') as [NodeJS.ErrnoException]
      t.equal(err.code, alert)
      await begun
      t.match(await conversation.ended(), { level, message: /no certificate: no/ })
    })
  }

  t.test('a client that does not trust the CA is warned of, once for a host', async (t) => {
    for (const level of ['warn', 'debug']) {
      const conversation = converse()
      const begun = conversation.begin()
      // With TLS 1.2 the server sees the handshake end before Node's client looks at the certificate.
      await once(conversation.tls({ ca: [], maxVersion: 'TLSv1.2' }), 'error')
      await begun
      conversation.tunnel.socket.destroy()
      t.match(await conversation.ended(), { level, message: /add its certificate to what the client trusts/ })
    }
  })

  t.test('a client that ends in the handshake has refused the certificate', async (t) => {
    const conversation = converse()
    const begun = conversation.begin()
    conversation.client.write(await clientHello('c.test'))
    await once(conversation.client, 'data')
    conversation.client.end()
    await begun
    t.match(await conversation.ended(), { code: 'LEFT_IN_HANDSHAKE', level: 'warn' })
  })

  for (const fails of [false, true]) {
    t.test(`a client that leaves while its certificate is made, which ${fails ? 'fails' : 'works'}`, async (t) => {
      let leave: () => void = () => {}
      const left = new Promise<void>((resolve) => { leave = resolve })
      const conversation: Conversation = converse({
        leaf: async (hostname) => {
          conversation.tunnel.socket.destroy()
          await left
          if (fails) throw new Error('no')
          return await ca.leaf(hostname)
        }
      })
      const begun = conversation.begin()
      conversation.tls().on('error', () => {})
      t.match(await conversation.ended(), { code: 'CLIENT_CLOSED' })
      leave()
      await begun
      t.equal(conversation.served, null)
    })
  }
})
