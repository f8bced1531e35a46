/** The header of the PROXY protocol: the specification's examples, what balancers send, and what nobody should. */
import fc from 'fast-check'
import t from 'tap'
import { parseProxyHeader } from '../../plugin/http/proxy-header'
import { binary, binaryOf, FAMILY, line, SIGNATURE, tlv } from '../support/proxy-header'

const RUNS = Number(process.env.FUZZ_RUNS ?? 500)

const text = (value: string): Buffer => Buffer.from(value, 'latin1')
const LOCAL = { kind: 'local' }

function inet (family: 'IPv4' | 'IPv6', from: string, to: string, fromPort: number, toPort: number): object {
  return {
    kind: 'inet',
    source: { address: from, port: fromPort, family },
    destination: { address: to, port: toPort, family }
  }
}

const ALL_ONES = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

t.test("the specification's examples of version 1", async (t) => {
  const examples: Array<[string, object]> = [
    [
      'PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n',
      inet('IPv4', '255.255.255.255', '255.255.255.255', 65535, 65535)
    ],
    [`PROXY TCP6 ${ALL_ONES} ${ALL_ONES} 65535 65535\r\n`, inet('IPv6', ALL_ONES, ALL_ONES, 65535, 65535)],
    ['PROXY UNKNOWN\r\n', LOCAL],
    [`PROXY UNKNOWN ${ALL_ONES} ${ALL_ONES} 65535 65535\r\n`, LOCAL]
  ]
  for (const [header, peers] of examples) {
    t.strictSame(parseProxyHeader(text(header)), { length: header.length, peers }, header)
  }
  t.equal(examples[3]![0].length, 107, 'the longest that there may be')
  const header = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'
  t.strictSame(
    parseProxyHeader(text(`${header}GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n`)),
    { length: header.length, peers: inet('IPv4', '192.168.0.1', '192.168.0.11', 56324, 443) }
  )
})

t.test('a header of an AWS load balancer, with TLVs, and the first payload behind it', async (t) => {
  const header = Buffer.from(
    '0d0a0d0a000d0a515549540a21110054ac1f0771ac1f0a1fc8f20050030004e8d6892dea00170176706365' +
    `2d3038643262663135666163353030316339040024${'00'.repeat(36)}`, 'hex')
  t.strictSame(
    parseProxyHeader(Buffer.concat([header, text('GET / HTTP/1.1\r\n')])),
    { length: header.length, peers: inet('IPv4', '172.31.7.113', '172.31.10.31', 51442, 80) }
  )
})

t.test('version 2: IPv4, IPv6, unix, LOCAL and unspecified', async (t) => {
  const peersOf = (header: Buffer): unknown => {
    const read = parseProxyHeader(header)
    t.equal(read?.length, header.length)
    return read?.peers
  }
  t.strictSame(
    peersOf(binaryOf('192.0.2.7', '198.51.100.1')), inet('IPv4', '192.0.2.7', '198.51.100.1', 40000, 443))
  t.strictSame(
    peersOf(binaryOf('2001:db8::7', '::1', tlv(4, Buffer.alloc(300)))),
    inet('IPv6', '2001:db8::7', '::1', 40000, 443))
  t.strictSame(peersOf(binary(FAMILY.unix, Buffer.alloc(216))), { kind: 'unix' })
  t.strictSame(peersOf(binary(FAMILY.unspec)), LOCAL)
  t.strictSame(peersOf(binary(FAMILY.unspec, Buffer.alloc(20))), LOCAL)
  t.strictSame(peersOf(binary(FAMILY.unspec, Buffer.alloc(0), 0x20)), LOCAL)
  t.strictSame(peersOf(binary(0xff, Buffer.alloc(7), 0x20)), LOCAL, 'the family of a LOCAL one says nothing')
})

t.test('what is no header, or one with a mistake in it', async (t) => {
  const wrong: Record<string, Buffer> = {
    HTTP: text('GET / HTTP/1.1\r\n'),
    POST: text('POST / HTTP/1.1\r\n'),
    'a ClientHello': Buffer.from('16030100', 'hex'),
    'an empty line and HTTP': text('\r\nGET / HTTP/1.1\r\n'),
    'small letters': text('proxy UNKNOWN\r\n'),
    'another protocol': text('PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n'),
    TCP5: text('PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n'),
    'UNKNOWN and more': text('PROXY UNKNOWNS\r\n'),
    'two spaces': text('PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n'),
    'a space at the end': text('PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n'),
    'no port': text('PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n'),
    'a port too high': line('1.2.3.4', '1.2.3.4', '65536 2'),
    'a destination port too high': line('1.2.3.4', '1.2.3.4', '1 99999'),
    'a port with a zero before it': line('1.2.3.4', '1.2.3.4', '01 2'),
    'a negative port': line('1.2.3.4', '1.2.3.4', '-1 2'),
    'an address too high': line('1.2.3.256'),
    'an address with zeros before it': line('1.2.3.04'),
    'an IPv6 address of TCP4': text('PROXY TCP4 ::1 1.2.3.4 1 2\r\n'),
    'an IPv4 address of TCP6': text('PROXY TCP6 1.2.3.4 ::1 1 2\r\n'),
    'a destination of another family': line('1.2.3.4', '::1'),
    'a zone': line('fe80::1%lo', 'fe80::1'),
    'a line feed alone': text(`PROXY UNKNOWN\n${' '.repeat(107)}`),
    'a line without end': text(`PROXY UNKNOWN ${'x'.repeat(93)}`),
    'a line that is too long': text(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`),
    'version 1 in the binary form': binary(FAMILY.unspec, Buffer.alloc(0), 0x11),
    'version 3': binary(FAMILY.unspec, Buffer.alloc(0), 0x31),
    'an unknown command': binary(FAMILY.unspec, Buffer.alloc(0), 0x22),
    datagrams: binary(FAMILY.udp4, Buffer.alloc(12)),
    'an unknown family': binary(0x41, Buffer.alloc(12)),
    'too short for IPv4': binary(FAMILY.tcp4, Buffer.alloc(11)),
    'too short for IPv6': binary(FAMILY.tcp6, Buffer.alloc(35)),
    'too short for unix': binary(FAMILY.unix, Buffer.alloc(215)),
    'over 4,096 bytes': binary(FAMILY.unspec, Buffer.alloc(4081)),
    'a signature with a mistake': Buffer.concat([SIGNATURE.subarray(0, 11), text('\r')])
  }
  for (const [name, bytes] of Object.entries(wrong)) t.equal(parseProxyHeader(bytes), null, name)
  // What it will be of can be told before all of it is there.
  t.equal(parseProxyHeader(binary(FAMILY.unspec, Buffer.alloc(4081)).subarray(0, 16)), null)
  t.equal(parseProxyHeader(binary(FAMILY.unspec, Buffer.alloc(4080)).subarray(0, 16)), undefined)
})

const ipv4 = fc.ipV4()
const port = fc.integer({ min: 0, max: 65535 })
const header = fc.oneof(
  fc.tuple(ipv4, ipv4, port, port).map(([from, to, ...ports]) => line(from, to, ports.join(' '))),
  fc.tuple(ipv4, ipv4, fc.uint8Array({ max: 100 })).map(([from, to, more]) => binaryOf(from, to, Buffer.from(more))),
  fc.constantFrom(text('PROXY UNKNOWN\r\n'), binary(FAMILY.unspec), binary(FAMILY.unix, Buffer.alloc(216))),
  fc.constantFrom('::1', '2001:db8::1', '::', 'fe80:1:2:3:4:5:6:7')
    .map((address) => binaryOf(address, '2001:db8::2'))
)

t.test('any header, wherever it is cut: more is needed until it is whole, and the rest is left', async (t) => {
  fc.assert(fc.property(header, fc.uint8Array({ max: 20 }), (header, rest) => {
    const whole = parseProxyHeader(header)
    if (whole?.length !== header.length) return false
    for (let i = 0; i < header.length; i++) {
      if (parseProxyHeader(header.subarray(0, i)) !== undefined) return false
    }
    return parseProxyHeader(Buffer.concat([header, rest]))?.length === header.length
  }), { numRuns: RUNS })
  t.pass()
})

t.test('any bytes, and headers with a byte changed: an answer that fits, and no exception', async (t) => {
  const anything = fc.uint8Array({ max: 200 }).map((bytes) => Buffer.from(bytes))
  const damaged = fc.tuple(header, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
    const copy = Buffer.from(bytes)
    copy[at % copy.length] = value
    return copy
  })
  const begun = anything.chain((rest) => fc.constantFrom(
    Buffer.concat([SIGNATURE, rest]), Buffer.concat([text('PROXY '), rest, text('\r\n')])
  ))
  fc.assert(fc.property(fc.oneof(anything, damaged, begun), (bytes) => {
    const read = parseProxyHeader(bytes)
    return read == null || (read.length > 0 && read.length <= bytes.length)
  }), { numRuns: RUNS })
  t.pass()
})
