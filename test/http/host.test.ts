/** Hosts: what is one, what is none, and the one way in which each is written. */
import fc from 'fast-check'
import t from 'tap'
import {
  bareHost, isAddress, parseHost, parseIPv6, parseServerName, parseUnicodeHost, urlHost
} from '../../plugin/http/host'

const LONGEST = `${`${'a'.repeat(49)}.`.repeat(5)}com`

/** What each parser makes of a text. */
const TABLE: Array<[text: string, host: string | null, unicodeHost?: string | null, serverName?: string | null]> = [
  ['example.com', 'example.com'],
  ['EXAMPLE.com.', 'example.com'],
  ['localhost', 'localhost'],
  ['a_b.example', 'a_b.example'],
  ['_dmarc.example', '_dmarc.example'],
  ['-a-.example', '-a-.example'],
  ['r3---sn-4g5.example', 'r3---sn-4g5.example'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  // Not what IDNA has, and a name all the same.
  ['xn--a.example', 'xn--a.example'],
  [LONGEST, LONGEST],
  [`${LONGEST}.`, LONGEST],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ['192.0.2.1', '192.0.2.1', '192.0.2.1', null],
  ['192.0.2.1.', '192.0.2.1', '192.0.2.1', null],
  ['[2001:DB8:0:0::1]', '[2001:db8::1]', '[2001:db8::1]', null],
  ['[::ffff:192.0.2.1]', '[::ffff:c000:201]', '[::ffff:c000:201]', null],
  ['::1', null, '[::1]'],
  ['2001:db8::A', null, '[2001:db8::a]'],
  ['bücher.example', null, 'xn--bcher-kva.example'],
  ['BÜCHER.example.', null, 'xn--bcher-kva.example'],
  ['ｅxample.com', null, 'example.com'],
  ['例え。テスト', null, 'xn--r8jz45g.xn--zckzah'],
  ...[
    '', '.', '..', 'a..b', '.a', 'a.com..', ' a', 'a ', 'a b', 'a\tb', 'a\nb', 'a\0b', 'a\x7f', 'a/b', 'a?b', 'a#b',
    'a\\b', 'user@a', 'a:443',
    'a:', '[::1]:443', '::1:443:', 'a%20b', '%61', '*.example.com', '*', '<a>', 'a!b', '1.2.3.4.5', '256.1.1.1',
    '127.1', '1', 'a.1', '0x7f.1',
    'a.0x', 'a.0x7F', '01.2.3.4', '[1.2.3.4]', '[::1', '::1]', '[]', '[', ']', ':::', '[::g]', 'fe80::1%eth0',
    '[fe80::1%25eth0]', '[fe80::1%eth0]',
    `${LONGEST}m`, `${'a'.repeat(64)}.example`, 'a'.repeat(1e6), '.'.repeat(1e6), '[::1]'.repeat(1e5), 'ü'.repeat(1e6),
    'bü cher.example', 'ü:443'
  ].map((text): [string, null] => [text, null])
]

t.test('a host is written in one way', async (t) => {
  for (const [text, host, unicodeHost = host, serverName = host] of TABLE) {
    const name = text.slice(0, 80)
    t.equal(parseHost(text), host, name)
    t.equal(parseUnicodeHost(text), unicodeHost, `${name} as people write it`)
    t.equal(parseServerName(text), serverName, `${name} as a server name`)
  }
})

t.test('URLs have brackets, certificates have none', async (t) => {
  for (const [url, bare] of [
    ['[2001:db8::1]', '2001:db8::1'], ['192.0.2.1', '192.0.2.1'], ['example.com', 'example.com']
  ] as const) {
    t.equal(bareHost(url), bare)
    t.equal(urlHost(bare), url)
    t.equal(isAddress(url), url !== 'example.com')
  }
})

const hosts = fc.oneof(
  fc.domain(), fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), fc.ipV6().map((ip) => `[${ip}]`), fc.string(), fc.string(
    { unit: 'grapheme' }
  ),
  fc.stringMatching(/^[a-zA-Z0-9_.:x[\]%-]{1,12}$/)
)

t.test('whatever comes in, a host or nothing comes out, and stays as it is', async (t) => {
  fc.assert(fc.property(hosts, (text) => {
    const host = parseUnicodeHost(text)
    const strict = parseHost(text)
    if (strict !== null && strict !== host) throw new Error(`${text} is ${strict} and ${host}`)
    if (host === null) return
    if (!/^(?:\[[0-9a-f:]+\]|[a-z0-9_.-]{1,253})$/.test(host)) throw new Error(`${text} became ${host}`)
    if (parseHost(host) !== host || urlHost(bareHost(host)) !== host) throw new Error(`${host} is not stable`)
    if (parseServerName(text) !== null && isAddress(host)) throw new Error(`${text} is an address`)
  }), { numRuns: 3_000 })
})

t.test('every IPv6 address is one host', async (t) => {
  fc.assert(fc.property(fc.ipV6(), (address) => {
    const host = parseIPv6(address)
    if (
      host === null || host !== parseHost(`[${address}]`) || host !== new URL(`http://[${address}]/`).hostname
    ) throw new Error(address)
  }), { numRuns: 1_000 })
})
