/**
 * Malformed and odd input, made up by fast-check and sent to a real server. Whatever comes: one clear answer or a clean
 * end within a bound of time, no exception, no tunnel left over, and the next client is served.
 *
 * `FUZZ_RUNS` says how many cases there are of each kind (`npm run fuzz`: many). A failure prints the seed.
 */
import { once } from 'node:events'
import net from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import type { Test } from 'tap'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import { echo, PROX, recorded } from './support'

const RUNS = Number(process.env.FUZZ_RUNS ?? 100)

/** How long an answer may take, in milliseconds: the limits of the server below, and a slow machine. */
const BOUND = 10_000
const TIMEOUTS = { firstByte: 200, handshake: 200, idle: 200 }

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3}) /

/** Sends pieces on a connection of its own, ends it, and resolves with all that came back. */
async function exchange (proxy: Proxy, pieces: Buffer[]): Promise<string> {
  const socket = net.connect(proxy.connection)
  let received = ''
  socket.setEncoding('latin1').on('data', (text: string) => { received += text })
  socket.on('error', () => {})
  // Waits without `once`, which rejects on an error: to be reset while it writes is a clean end as well.
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const bound = setTimeout(() => socket.destroy(new Error('out of time')), BOUND)
  await once(socket, 'connect')
  for (const piece of pieces) {
    if (!socket.writable) break
    socket.write(piece)
    await new Promise(setImmediate)
  }
  socket.end()
  await closed
  clearTimeout(bound)
  if (socket.errored?.message === 'out of time') throw new Error(`no end after ${JSON.stringify(received)}`)
  return received
}

async function assertServing (proxy: Proxy): Promise<void> {
  const { status, body } = await proxy.get('http://good.example.com/')
  const isRight = status === 200 && JSON.parse(body).url === 'http://good.example.com/'
  if (!isRight) throw new Error(`a good client got ${status} ${body}`)
}

function assertAnswered (received: string): void {
  if (!STATUS_LINE.test(received)) throw new Error(`no answer: ${JSON.stringify(received)}`)
}

async function check<T> (
  t: Test, name: string, arbitrary: fc.Arbitrary<T>, property: (value: T, proxy: Proxy) => Promise<void>
): Promise<void> {
  await t.test(name, async (t) => {
    const proxy = await start(t, {
      fastify: { keepAliveTimeout: 200, requestTimeout: 1_000 },
      prox: { ...PROX, timeouts: TIMEOUTS }
    }, echo)
    const [opened, closed] = [recorded(t, 'tunnel:opened'), recorded(t, 'tunnel:closed')]
    const asserted = fc.asyncProperty(arbitrary, async (value) => { await property(value, proxy) })
    await fc.assert(asserted, { numRuns: RUNS, endOnFailure: true })
    await assertServing(proxy)
    while (closed.messages.length < opened.messages.length) await closed.next()
    t.equal(closed.messages.length, opened.messages.length, `every tunnel ended (${opened.messages.length})`)
    t.strictSame(proxy.log.messages('fatal'), [])
  })
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

const HOSTS = [
  'example.com', 'EXAMPLE.com.', '127.0.0.1', '[::1]', '[::ffff:1.2.3.4]', '[::1', '[fe80::1%25eth0]', '', '.', '..',
  '-', '_dmarc.example.com', 'xn--bcher-kva.example', 'a'.repeat(64), `${'a.'.repeat(126)}a`, 'user@', 'user:pass@',
  '%41', '256.1.1.1', '0x7f.1', 'localhost', 'fastify-prox'
]

const ENDINGS = [
  ':443', ':80', ':0', ':1', ':65535', ':65536', ':99999999999', ':', ':+1', ':0443', ':4e2', '/', '//', '?', '#',
  '\\', '@', '%', ';', '"', '|', '\t', '\x7f', '\xff'
]

const BEGINNINGS = [
  '', '\x16', '\x16\x03\x01\x00\x20\x01\x00', '\x16\x03\x01\xff\xff\x01\xff\xff\xff',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PRI', 'POST / HTTP/1.1\r\n', '\r\n\r\n', 'GET', 'get / HTTP/1.1\r\n\r\n',
  '\x80\x2e\x01', 'SSH-2.0-', '\x00'
]

/** Text that comes near to what is right, and bytes that do not. */
const piece = fc.oneof(
  fc.constantFrom(...HOSTS),
  fc.constantFrom(...ENDINGS),
  fc.string({ maxLength: 12 })
)
const target = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join('').replace(/[\r\n]/g, ''))
const host = fc.option(fc.oneof(target, fc.constant('example.com')), { nil: undefined })
const headOf = (line: string, value: string | undefined): string => {
  return value === undefined ? `${line}\r\n` : `${line}\r\nHost: ${value}\r\n`
}

check(t, 'any target of a CONNECT is answered', fc.tuple(target, host), async ([target, host], proxy) => {
  assertAnswered(await exchange(proxy, [latin1(`${headOf(`CONNECT ${target} HTTP/1.1`, host)}\r\n`)]))
})

const scheme = fc.constantFrom('http:', 'https:', 'ws:', 'WSS:', 'ftp:', 'http', '')
const absolute = fc.tuple(scheme, fc.constantFrom('//', '/', ''), target, target)
  .map((parts) => parts.join(''))
check(t, 'any target in absolute-form is answered', fc.tuple(absolute, host), async ([target, host], proxy) => {
  const head = headOf(`GET ${target} HTTP/1.1`, host)
  assertAnswered(await exchange(proxy, [latin1(`${head}Connection: close\r\n\r\n`)]))
})

const inTunnel = fc.tuple(target, host)
check(t, 'a request in a tunnel is for its host, or is refused', inTunnel, async ([target, host], proxy) => {
  const connect = 'CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n'
  const request = `${headOf(`GET ${target} HTTP/1.1`, host)}Connection: close\r\n\r\n`
  const received = await exchange(proxy, [connect, request].map(latin1))
  const [, answer = ''] = received.split(/(?<=Established\r\n\r\n)/)
  assertAnswered(answer)
  if (!answer.startsWith('HTTP/1.1 200')) return
  const { url } = JSON.parse(answer.slice(answer.indexOf('{'))) as { url?: string }
  if (url !== undefined && !url.startsWith('http://example.com/')) throw new Error(`answered for ${url}`)
})

const bytes = fc.uint8Array({ maxLength: 200 })
const spoken = fc.tuple(fc.constantFrom(...BEGINNINGS), fc.array(bytes, { maxLength: 4 }))
check(t, 'any first bytes are endured', spoken, async ([beginning, pieces], proxy) => {
  const connect = latin1('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n')
  const received = await exchange(proxy, [connect, latin1(beginning), ...pieces.map((piece) => Buffer.from(piece))])
  const isOpen = received.startsWith('HTTP/1.1 200 Connection Established\r\n\r\n')
  if (!isOpen) throw new Error(`not opened: ${JSON.stringify(received)}`)
})
