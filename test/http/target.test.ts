import fc from 'fast-check'
import t from 'tap'
import { formatAuthority, parseAbsoluteTarget, parseAuthority, parseHost } from '../../plugin/http/target'

t.test('the authority of a CONNECT is a host and a port', async (t) => {
  const good: Array<[string, string, number]> = [
    ['example.com:443', 'example.com', 443],
    ['EXAMPLE.com.:8443', 'example.com', 8443],
    ['localhost:1', 'localhost', 1],
    ['a_b-c.example:65535', 'a_b-c.example', 65535],
    ['xn--bcher-kva.example:443', 'xn--bcher-kva.example', 443],
    ['192.0.2.1:00080', '192.0.2.1', 80],
    ['[2001:DB8:0:0::1]:443', '[2001:db8::1]', 443],
    ['[::ffff:192.0.2.1]:443', '[::ffff:c000:201]', 443],
    [`${'a'.repeat(63)}.example:443`, `${'a'.repeat(63)}.example`, 443]
  ]
  for (const [target, hostname, port] of good) t.strictSame(parseAuthority(target), { hostname, port }, target)

  const bad = [
    '', 'example.com', 'example.com:', 'example.com:0', 'example.com:65536', 'example.com:99999', 'example.com:443x',
    'example.com:-1', ':443', '.:443', 'a..b:443', '.a:443', 'user@example.com:443', 'user:pass@example.com:443',
    'http://example.com:443', '/:443', 'example.com:443/', 'ex ample.com:443', 'exämple.com:443', 'ex%41mple.com:443',
    '[::1]', '[::1:443', '::1:443', '[::1%25eth0]:443', '[1.2.3.4]:443', '[]:443', '[fe80::1%lo]:443',
    '256.1.1.1:443', '1.2.3:443', '0x7f.1:443', '0x7F:443', 'a.0x:443', '1:443', 'a.1:443', '*.example.com:443', `${'a'.repeat(64)}.example:443`,
    `${'a.'.repeat(127)}example:443`
  ]
  for (const target of bad) t.equal(parseAuthority(target), null, target)
})

t.test('absolute-form', async (t) => {
  const good: Array<[string, string, string, number, string]> = [
    ['http://example.com/a?b', 'http', 'example.com', 80, '/a?b'],
    ['HTTP://EXAMPLE.com:8080/A%zz', 'http', 'example.com', 8080, '/A%zz'],
    ['https://example.com', 'https', 'example.com', 443, '/'],
    ['https://example.com:/', 'https', 'example.com', 443, '/'],
    ['http://example.com?a=/b', 'http', 'example.com', 80, '/?a=/b'],
    ['http://example.com//a/../b', 'http', 'example.com', 80, '//a/../b'],
    ['ws://example.com/socket', 'ws', 'example.com', 80, '/socket'],
    ['WSS://[::1]:8443', 'wss', '[::1]', 8443, '/'],
    ['http://192.0.2.1/http://example.org/', 'http', '192.0.2.1', 80, '/http://example.org/'],
    ['http://example.com/a b', 'http', 'example.com', 80, '/a b']
  ]
  for (const [target, scheme, hostname, port, path] of good) {
    t.strictSame(parseAbsoluteTarget(target), { scheme, hostname, port, path }, target)
  }

  const bad = [
    'ftp://example.com/', 'http:/example.com/', 'http:///a', 'http://', 'http://?a', 'example.com:443', 'http:example.com',
    'http://user@example.com/', 'http://user:secret@example.com/', 'http://example.com:0/', 'http://example.com:99999/',
    'http://example.com/#fragment', 'http://example.com#fragment', 'http://a b/', 'http://[::g]/', 'javascript:alert(1)',
    'http://example.com\\a/', 'about:blank', ' http://example.com/'
  ]
  for (const target of bad) t.equal(parseAbsoluteTarget(target), null, target)
})

t.test('a port appears where it is not the default of the scheme', async (t) => {
  t.equal(formatAuthority('http', 'a.example', 80), 'a.example')
  t.equal(formatAuthority('ws', 'a.example', 80), 'a.example')
  t.equal(formatAuthority('https', '[::1]', 443), '[::1]')
  t.equal(formatAuthority('wss', 'a.example', 443), 'a.example')
  t.equal(formatAuthority('https', 'a.example', 80), 'a.example:80')
  t.equal(formatAuthority('http', '[::1]', 443), '[::1]:443')
})

t.test('whatever is taken for a host or a URL, the URL Standard takes for the same', async (t) => {
  const hosts = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV4Extended(), fc.ipV6().map((ip) => `[${ip}]`), fc.stringMatching(/^[a-zA-Z0-9_.x-]{1,9}$/))
  let taken = 0
  fc.assert(fc.property(hosts, (text) => {
    const hostname = parseHost(text)
    // Node knows more of punycode than certificates and routes have to.
    if (hostname === null || !URL.canParse(`http://${text}/`)) return
    taken++
    fc.pre(!hostname.startsWith('xn--'))
    if (new URL(`http://${hostname}/`).hostname !== hostname) throw new Error(`${text} became ${hostname}`)
    if (parseHost(hostname) !== hostname) throw new Error(`${hostname} is not stable`)
  }), { numRuns: 2_000 })
  t.ok(taken > 1_000)

  taken = 0
  fc.assert(fc.property(fc.webUrl({ withQueryParameters: true, authoritySettings: { withPort: true, withIPv4: true, withIPv6: true } }), (text) => {
    const target = parseAbsoluteTarget(text)
    if (target === null) return
    taken++
    const url = new URL(text)
    const again = new URL(`${target.scheme}://${target.hostname}:${target.port}${target.path}`)
    if (again.href !== url.href) throw new Error(`${text} became ${again.href}`)
  }), { numRuns: 500 })
  t.ok(taken > 300)
})
