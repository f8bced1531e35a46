/** Hosts and the names of their certificates. */
import { isIP } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { getPublicSuffix } from 'tldts'
import { addressBytes, canonicalHost, certificateNames, namesCover, normalizeHost } from '../../plugin/ca/names'

t.test('a host has one canonical form', async (t) => {
  const forms: Record<string, string[]> = {
    'example.com': ['example.com', 'EXAMPLE.com', 'example.com.', 'ｅxample.com'],
    'xn--bcher-kva.de': ['bücher.de', 'BÜCHER.DE.', 'xn--bcher-kva.de', 'XN--BCHER-KVA.de'],
    'a_b.example.com': ['a_b.example.com', 'A_B.example.com'],
    'r3---sn-4g5.example.com': ['r3---sn-4g5.example.com'],
    '-a-.example.com': ['-a-.example.com'],
    localhost: ['localhost', 'LocalHost.'],
    '127.0.0.1': ['127.0.0.1', '127.0.0.1.'],
    '::1': ['::1', '[::1]', '[0:0:0:0:0:0:0:1]'],
    '2001:db8::a': ['2001:DB8::A', '[2001:0db8:0::000a]'],
    '::ffff:102:304': ['::ffff:1.2.3.4']
  }
  for (const [canonical, spellings] of Object.entries(forms)) {
    for (const spelling of spellings) t.equal(normalizeHost(spelling), canonical, spelling)
  }
  t.equal(normalizeHost(`${'a'.repeat(63)}.com`), `${'a'.repeat(63)}.com`, 'a label of 63 characters')
  const longest = `${`${'a'.repeat(49)}.`.repeat(5)}com`
  t.equal(longest.length, 253)
  t.equal(normalizeHost(longest), longest)
})

t.test('what is not a host is refused', async (t) => {
  const malformed = [
    '', '.', '..', 'a..b', '.a', 'a.com..', ' a.com', 'a.com ', 'a b.com', 'a\tb.com', 'a\nb.com', 'a\0b.com',
    'a/b', 'a?b', 'a#b', 'a\\b', 'user@a.com', 'a.com:443', 'a%20b.com', '*.example.com', '<a>', 'a|b', 'a^b', 'a"b',
    'a!b', 'a,b', 'a;b', 'a&b', '(a)', "a'b", 'a$b', 'a+b', 'a=b', 'a~b', 'a`b', '{a}',
    '1.2.3.4.5', '127.1', '0x7f.0.0.1', '256.1.1.1',
    'foo.123', '[1.2.3.4]', '[::1', '::1]', '[::1]:443', 'fe80::1%eth0', '[fe80::1%25eth0]', '[a.com]', '[]', ':::',
    `${'a'.repeat(64)}.com`, `${`${'a'.repeat(49)}.`.repeat(5)}comm`
  ]
  for (const host of malformed) {
    t.throws(() => normalizeHost(host), { code: 'FST_PROX_INVALID_HOST', statusCode: 400 }, JSON.stringify(host))
    t.equal(canonicalHost(host), null)
  }
  t.throws(
    () => normalizeHost('a\r\nb'), { message: '"a\\r\\nb" is neither a host name nor an IP address' },
    'the message is one line'
  )
  t.throws(() => normalizeHost(' '.repeat(1e6)), { message: /^.{0,400}$/ }, 'the message is short')
})

t.test('whatever comes in, only letters, digits, hyphens, underscores and addresses come out', async (t) => {
  fc.assert(fc.property(fc.oneof(
    fc.string(), fc.string({ unit: 'grapheme' }), fc.domain(), fc.ipV4(), fc.ipV6()
  ), (text) => {
    const host = canonicalHost(text)
    if (host === null) return
    t.ok(isIP(host) !== 0 || /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/.test(host), host)
    t.equal(normalizeHost(host), host, 'the canonical form stays as it is')
  }))
})

t.test('wildcards stand right under a registrable domain or deeper', async (t) => {
  const expected: Record<string, string[]> = {
    'www.example.com': ['example.com', '*.example.com'],
    'example.com': ['example.com', '*.example.com'],
    'a.b.example.com': ['b.example.com', '*.b.example.com'],
    'www.example.co.uk': ['example.co.uk', '*.example.co.uk'],
    'example.co.uk': ['example.co.uk', '*.example.co.uk'],
    'co.uk': ['co.uk'],
    com: ['com'],
    'user.github.io': ['user.github.io', '*.user.github.io'],
    'github.io': ['github.io'],
    'a.ck': ['a.ck'],
    'b.a.ck': ['b.a.ck', '*.b.a.ck'],
    'www.ck': ['www.ck', '*.www.ck'],
    localhost: ['localhost'],
    'app.localhost': ['app.localhost', '*.app.localhost'],
    'www.xn--bcher-kva.de': ['xn--bcher-kva.de', '*.xn--bcher-kva.de'],
    '192.0.2.1': ['192.0.2.1'],
    '2001:db8::1': ['2001:db8::1']
  }
  for (const [host, names] of Object.entries(expected)) {
    t.same(certificateNames(host, true), names, host)
    t.same(certificateNames(host, false), [host], `${host} without wildcards`)
  }
})

t.test('what not every client matches against a wildcard is named as well', async (t) => {
  t.same(certificateNames('a_b.example.com', true), ['example.com', '*.example.com', 'a_b.example.com'])
  t.same(certificateNames('www.a_b.example.com', true), ['a_b.example.com', '*.a_b.example.com', 'www.a_b.example.com'])
  t.same(certificateNames('-a.example.com', true), ['example.com', '*.example.com', '-a.example.com'])
  t.same(certificateNames('a_b.github.io', true), ['a_b.github.io', '*.a_b.github.io'])
  t.same(certificateNames('a_b.example.com', false), ['a_b.example.com'])
})

t.test('the names of a certificate cover its host, and none is a wildcard right under a public suffix', async (t) => {
  const suffixes = fc.constantFrom(
    'com', 'co.uk', 'github.io', 'ck', 'kawasaki.jp', 's3.amazonaws.com', 'test', 'xn--p1ai', 'localhost'
  )
  const label = fc.stringMatching(/^[a-z0-9_]{1,8}$/)
  fc.assert(fc.property(fc.array(label, { maxLength: 4 }), suffixes, fc.boolean(), (labels, suffix, wildcards) => {
    const host = [...labels, suffix].join('.')
    const names = certificateNames(host, wildcards)
    t.ok(namesCover(names, host), host)
    for (const name of names.filter((name) => name.startsWith('*.'))) {
      const parent = name.slice(2)
      t.not(getPublicSuffix(parent, { allowPrivateDomains: true }), parent, name)
    }
  }))
})

t.test('a wildcard covers one label and no address', async (t) => {
  const names = ['example.com', '*.example.com']
  for (const host of ['example.com', 'www.example.com', 'a_b.example.com']) t.ok(namesCover(names, host), host)
  for (const host of ['a.b.example.com', 'example.org', 'com', 'localhost', '192.0.2.1', '2001:db8::1']) {
    t.notOk(
      namesCover(names, host), host
    )
  }
  t.notOk(namesCover(['*.0.2.1'], '192.0.2.1'))
  t.ok(namesCover(['192.0.2.1'], '192.0.2.1'))
})

t.test('addresses become bytes in network order', async (t) => {
  t.equal(addressBytes('192.0.2.1').toString('hex'), 'c0000201')
  t.equal(addressBytes('::1').toString('hex'), '00000000000000000000000000000001')
  t.equal(addressBytes('2001:db8::').toString('hex'), '20010db8000000000000000000000000')
  t.equal(addressBytes('1:2:3:4:5:6:7:8').toString('hex'), '00010002000300040005000600070008')
  t.equal(addressBytes('2001:db8::a:0:1').toString('hex'), '20010db8000000000000000a00000001')
})
