/** The server name in a ClientHello, whatever pieces it comes in, and whatever is not one. */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import fc from 'fast-check'
import t from 'tap'
import { serverNameOf } from '../../plugin/tunnel/client-hello'

/** The first bytes of a client of OpenSSL's. */
async function clientHello (options: tls.ConnectionOptions): Promise<Buffer> {
  const carrier = new Duplex({ read () {}, write (bytes, _encoding, done) { this.emit('hello', bytes); done() } })
  const hellos = once(carrier, 'hello') as Promise<[Buffer]>
  const client = tls.connect({ socket: carrier, ...options })
  const [hello] = await hellos
  client.on('error', () => {}).destroy()
  return hello
}

/** The same handshake message in records of so many bytes. */
function inRecords (hello: Buffer, size: number): Buffer {
  const records: Buffer[] = []
  for (let at = 5; at < hello.length; at += size) {
    const fragment = hello.subarray(at, at + size)
    records.push(Buffer.from([0x16, 3, 1, fragment.length >> 8, fragment.length & 0xff]), fragment)
  }
  return Buffer.concat(records)
}

function extension (type: number, content: Buffer): Buffer {
  return Buffer.concat([uint16(type), uint16(content.length), content])
}

function uint16 (value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** A ClientHello with these extensions, or none at all. */
function helloWith (extensions: Buffer | null, before = Buffer.alloc(35)): Buffer {
  const list = extensions === null ? [] : [uint16(extensions.length), extensions]
  const ciphers = Buffer.concat([uint16(2), Buffer.from([0x13, 1])])
  const compression = Buffer.from([1, 0])
  const body = Buffer.concat([before, ciphers, compression, ...list])
  const message = Buffer.concat([Buffer.from([1, 0]), uint16(body.length), body])
  return Buffer.concat([Buffer.from([0x16, 3, 1]), uint16(message.length), message])
}

const entry = (type: number, name: string): Buffer => {
  return Buffer.concat([Buffer.from([type]), uint16(name.length), Buffer.from(name)])
}
const names = (...entries: Buffer[]): Buffer => {
  const list = Buffer.concat(entries)
  return extension(0, Buffer.concat([uint16(list.length), list]))
}

t.test('the name of a real client is found', async (t) => {
  const hello = await clientHello({ servername: 'www.example.com', ALPNProtocols: ['h2'] })
  t.equal(serverNameOf(hello), 'www.example.com')
  t.equal(serverNameOf(await clientHello({ host: '127.0.0.1' })), null, 'that sends none')
  t.equal(serverNameOf(await clientHello({ servername: 'a.test', maxVersion: 'TLSv1.2' })), 'a.test')
  t.equal(serverNameOf(Buffer.concat([hello, Buffer.from('more')])), 'www.example.com')
})

t.test('the name is found as soon as all of its pieces are there', async (t) => {
  const hello = await clientHello({ servername: 'www.example.com' })
  for (let length = 1; length < hello.length; length++) {
    if (serverNameOf(hello.subarray(0, length)) !== undefined) t.fail(`${length} bytes are not enough to tell`)
  }
  for (const size of [1, 3, 100]) {
    const records = inRecords(hello, size)
    t.equal(serverNameOf(records), 'www.example.com', `in records of ${size}`)
    t.equal(serverNameOf(records.subarray(0, -1)), undefined)
    t.equal(serverNameOf(records.subarray(0, 7)), undefined)
  }
})

t.test('the name of a hand-made ClientHello is found', async (t) => {
  t.equal(serverNameOf(helloWith(null)), null, 'no extensions')
  t.equal(serverNameOf(helloWith(Buffer.alloc(0))), null, 'none in the list')
  t.equal(serverNameOf(helloWith(Buffer.concat([extension(23, Buffer.alloc(0)), names(entry(0, 'a.test'))]))), 'a.test')
  const second = names(entry(1, 'other'), entry(0, 'a.test'))
  t.equal(serverNameOf(helloWith(second)), 'a.test', 'after a name of another kind')
  t.equal(serverNameOf(helloWith(names(entry(1, 'other')))), null)
  t.equal(serverNameOf(helloWith(names())), null)
})

t.test('what is no ClientHello has no name', async (t) => {
  t.equal(serverNameOf(Buffer.from([0x16, 3, 1, 0, 4, 2, 0, 0, 0])), null, 'another handshake message')
  t.equal(serverNameOf(Buffer.from([0x16, 3, 1, 0, 0, 0x17, 3, 1, 0, 0])), null, 'another record in between')
  t.equal(serverNameOf(Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0, 0])), null, 'an empty one')
  t.equal(serverNameOf(helloWith(extension(0, Buffer.from([0, 9, 0, 0, 1, 0x61])))), null, 'a list that leads out')
  const beyond = extension(0, Buffer.from([0, 4, 0, 0, 9, 0x61]))
  t.equal(serverNameOf(helloWith(beyond)), null, 'a name that leads out of its list')
  t.equal(serverNameOf(helloWith(Buffer.from([0, 0, 0, 9, 0, 0]))), null, 'an extension that leads out')
  t.equal(serverNameOf(helloWith(Buffer.from([0, 0]))), null, 'an extension without an end')
  t.equal(serverNameOf(Buffer.from([0x16, 3, 1, 0, 0])), null, 'an empty record')
  const endless = inRecords(Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff]), Buffer.alloc(3_000)]), 1)
  t.equal(serverNameOf(endless.subarray(0, 16_000)), undefined)
  t.equal(serverNameOf(endless), null, 'more than anyone sends')
})

t.test('any bytes get an answer, and no exception', async (t) => {
  const hello = await clientHello({ servername: 'www.example.com' })
  const changed = fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 5 })
  fc.assert(fc.property(changed, fc.nat(hello.length), (changes, length) => {
    const bytes = Buffer.from(hello)
    for (const [at, value] of changes) bytes[at] = value
    const name = serverNameOf(bytes.subarray(0, length))
    return name === undefined || name === null || typeof name === 'string'
  }), { numRuns: 2_000 })
})
