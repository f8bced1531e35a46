/** Request targets: what each kind is parsed to, what is refused, and what of it a log may show. */
import { once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { connect } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  formatAuthority, isAbsoluteForm, originOf, parseAbsoluteTarget, parseAuthority, parsePath, proxiedUrl, redactTarget,
  redactUserinfo
} from '../../plugin/http/target'
import { start } from '../support/proxy'

const LONGEST = `${`${'a'.repeat(49)}.`.repeat(5)}com`

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
    [`${'a'.repeat(63)}.example:443`, `${'a'.repeat(63)}.example`, 443],
    // Without brackets, as wget, Python and iOS send it: the last colon is the port's.
    ['::1:443', '[::1]', 443],
    ['2001:db8::1:443', '[2001:db8::1]', 443],
    ['2001:DB8:0:0:0:0:0:1:8443', '[2001:db8::1]', 8443],
    ['::ffff:192.0.2.1:80', '[::ffff:c000:201]', 80],
    ['1:2:3:4:5:6:7:8:65535', '[1:2:3:4:5:6:7:8]', 65535],
    [':::1', '[::]', 1]
  ]
  for (const [target, hostname, port] of good) t.strictSame(parseAuthority(target), { hostname, port }, target)

  const bad = [
    '', 'example.com', 'example.com:', 'example.com:0', 'example.com:65536', 'example.com:99999', 'example.com:443x',
    'example.com:-1', ':443', '.:443', 'a..b:443', '.a:443', 'user@example.com:443', 'user:pass@example.com:443',
    'http://example.com:443', '/:443', 'example.com:443/', 'ex ample.com:443', 'exämple.com:443', 'ex%41mple.com:443',
    '[::1]', '[::1:443', '[::1%25eth0]:443', '[1.2.3.4]:443', '[]:443', '[fe80::1%lo]:443', 'example.com:000443',
    '::1', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8:9:443', '::1:0', '::1:65536', 'fe80::1%lo:443', 'g::1:443', '::1:',
    ':::', '::1]:443',
    '256.1.1.1:443', '1.2.3:443', '0x7f.1:443', '0x7F:443', 'a.0x:443', '1:443', 'a.1:443', '*.example.com:443',
    `${'a'.repeat(64)}.example:443`,
    `${LONGEST}m:443`, ':'.repeat(1e5), '1:'.repeat(1e5), 'a'.repeat(1e6)
  ]
  for (const target of bad) t.equal(parseAuthority(target), null, target.slice(0, 80))
})

t.test('a target in absolute-form is a URL, or refused', async (t) => {
  const good: Array<[string, string, string, number, string]> = [
    ['http://example.com/a?b', 'http', 'example.com', 80, '/a?b'],
    ['HTTP://EXAMPLE.com:8080/A%zz', 'http', 'example.com', 8080, '/A%zz'],
    ['https://example.com', 'https', 'example.com', 443, '/'],
    ['https://example.com:/', 'https', 'example.com', 443, '/'],
    ['http://example.com?a=/b', 'http', 'example.com', 80, '/?a=/b'],
    ['http://example.com//a/../b', 'http', 'example.com', 80, '//a/../b'],
    ['http://192.0.2.1/http://example.org/', 'http', '192.0.2.1', 80, '/http://example.org/'],
    ['ws://example.com/socket', 'http', 'example.com', 80, '/socket'],
    ['wss://example.com', 'https', 'example.com', 443, '/'],
    ['WSS://[::1]:8443', 'https', '[::1]', 8443, '/'],
    ['http://example.com/?mail=a@b.example', 'http', 'example.com', 80, '/?mail=a@b.example'],
    // Fragments, as Java, urllib and urllib3 send them.
    ['http://example.com/a?b#c', 'http', 'example.com', 80, '/a?b'],
    ['http://example.com/#', 'http', 'example.com', 80, '/'],
    ['http://example.com#a/b?c#d', 'http', 'example.com', 80, '/'],
    ['http://example.com/#user@host', 'http', 'example.com', 80, '/'],
    // No UTF-8, no percent-encoding, and characters that browsers would encode: kept as they are.
    ['http://example.com/caf%E9/%B1%B1/50%off', 'http', 'example.com', 80, '/caf%E9/%B1%B1/50%off'],
    ['http://example.com/"<>\\^`{|}~', 'http', 'example.com', 80, '/"<>\\^`{|}~']
  ]
  for (const [target, scheme, hostname, port, path] of good) {
    t.match(parseAbsoluteTarget(target), { origin: { scheme, hostname, port }, path }, target)
  }

  const bad = [
    'ftp://example.com/', 'http:/example.com/', 'http:///a', 'http://', 'http://?a', 'http://#a', 'example.com:443',
    'http:example.com',
    'http://user@example.com/', 'http://user:secret@example.com/', 'http://@example.com/', 'http://example.com:0/',
    'http://example.com:99999/',
    'http://a b/', 'http://[::g]/', 'http://::1/', 'http://::1:80/', 'javascript:alert(1)', 'http://example.com\\a/',
    'about:blank',
    ' http://example.com/', 'http://example.com/a b', 'http://example.com/a\tb', 'http://example.com/a\r\nb',
    'http://example.com/\0',
    'http://example.com/\x7f', 'http://example.com/ü', 'http://example.com/\xc3\xbc', 'http://example.com/\u{1f600}',
    'http://exämple.com/',
    'http://example.com/# ', 'wsss://example.com/', 'wshttp://example.com/', `http://${LONGEST}m/`,
    'http:/'.repeat(1e5), `http://${':'.repeat(1e6)}`
  ]
  for (const target of bad) t.equal(parseAbsoluteTarget(target), null, target.slice(0, 80))
})

t.test('origin-form', async (t) => {
  const table: Array<[target: string, path: string | null]> = [
    ['/', '/'], ['/a?b', '/a?b'], ['/a#b', '/a'], ['/#', '/'], ['/a?b#c?d', '/a?b'], ['//a', '//a'],
    ['/%zz%E9', '/%zz%E9'], ['/"<>\\^`{|}', '/"<>\\^`{|}'],
    ['', null], ['*', null], ['a', null], ['?a', null], ['#', null], ['http://a/', null], ['/a b', null],
    ['/\t', null], ['/\0', null], ['/\x7f', null],
    ['/ü', null], ['/\xc3\xbc', null], ['/a# ', null], [`/${' '.repeat(1e6)}`, null]
  ]
  for (const [target, path] of table) t.equal(parsePath(target), path, target.slice(0, 80))
})

t.test('where a request is for', async (t) => {
  for (const target of ['http://a/', 'a:443', 'a', '', '?', '\\']) t.equal(isAbsoluteForm(target), true, target)
  for (const target of ['/', '/http://a/', '*', '*a']) t.equal(isAbsoluteForm(target), false, target)

  const asked = (url: string, fields: object = {}): string | null => proxiedUrl(
    { url, httpVersionMajor: 1, ...fields } as IncomingMessage
  )
  const http2 = (scheme: string, encrypted: boolean): object => (
    { httpVersionMajor: 2, scheme, authority: 'a.test', socket: { encrypted } }
  )
  t.equal(asked('http://a.test/b'), 'http://a.test/b')
  t.equal(asked('/b'), null)
  t.equal(asked('*'), null)
  t.equal(asked('/b', http2('http', true)), 'http://a.test/b')
  t.equal(asked('*', http2('http', true)), 'http://a.test')
  t.equal(asked('/b', http2('http', false)), null)
  t.equal(asked('/b', http2('https', true)), null)
  t.equal(asked('http://a.test/', http2('https', true)), 'http://a.test/')
})

t.test('a port appears where it is not the default of the scheme', async (t) => {
  t.equal(formatAuthority('http', 'a.example', 80), 'a.example')
  t.equal(formatAuthority('https', '[::1]', 443), '[::1]')
  t.equal(formatAuthority('https', 'a.example', 80), 'a.example:80')
  t.equal(formatAuthority('http', '[::1]', 443), '[::1]:443')
  t.strictSame(originOf('https', 'a.example', 8443), {
    scheme: 'https', hostname: 'a.example', port: 8443, authority: 'a.example:8443', url: 'https://a.example:8443'
  })
})

t.test('userinfo is not shown', async (t) => {
  const table: Array<[target: string, shown: string]> = [
    ['http://user:secret@example.com/a', 'http://***@example.com/a'],
    ['HTTPS://user@example.com', 'HTTPS://***@example.com'],
    ['http://user:sec@ret@example.com/', 'http://***@example.com/'],
    ['http://user:sec/ret@example.com/', 'http://***@example.com/'],
    ['http://user:sec?r#et@example.com/', 'http://***@example.com/'],
    ['http://user:secret@', 'http://***@'],
    ['http://:@example.com/', 'http://***@example.com/'],
    ['http:/user:secret@example.com/', '***@example.com/'],
    ['user:secret@example.com:443', '***@example.com:443'],
    ['user@example.com:443', '***@example.com:443'],
    ['us er:secret@example.com:443', '***@example.com:443'],
    ['http://user:12x/secret@example.com/', 'http://***@example.com/'],
    // These have none.
    ['http://example.com/@a?b@c', 'http://example.com/@a?b@c'],
    ['http://example.com:8080/?mail=a@b.example', 'http://example.com:8080/?mail=a@b.example'],
    ['http://[::1]/@', 'http://[::1]/@'],
    ['/@scope/package', '/@scope/package'],
    ['ftp://example.com/', 'ftp://example.com/'],
    ['*', '*'],
    ['', '']
  ]
  for (const [target, shown] of table) {
    t.equal(redactUserinfo(target), shown, target)
    t.equal(redactTarget(target), shown, target)
  }
  t.equal(redactTarget('http://a b/\r\n\x00ü'), 'http://a?b/????')
  t.equal(redactTarget('a'.repeat(1e6)), `${'a'.repeat(200)}...`)
  t.equal(redactTarget('a'.repeat(200)), 'a'.repeat(200))
  t.equal(redactTarget(`http://${'secret'.repeat(1e5)}@a.test/`), 'http://***@a.test/')
})

const userinfo = fc.stringMatching(/^[!-~]{1,20}$/).filter((text) => !text.includes('@'))
t.test('whatever the userinfo, no part of it is shown', async (t) => {
  fc.assert(fc.property(userinfo, fc.constantFrom('http://', 'https://', 'ws://', 'ftp://', ''), (secret, scheme) => {
    const target = `${scheme}user:s3cr3t${secret}@example.com/`
    if (parseAbsoluteTarget(target) !== null || parseAuthority(target) !== null) throw new Error(`${target} is taken`)
    if (redactTarget(target).includes('s3cr3t')) throw new Error(`${target} is shown as ${redactTarget(target)}`)
  }), { numRuns: 1_000 })
})

t.test('whatever is taken for a URL, the URL Standard takes for the same', async (t) => {
  let taken = 0
  fc.assert(fc.property(fc.webUrl({
    withQueryParameters: true,
    withFragments: true,
    authoritySettings: {
      withPort: true, withIPv4: true, withIPv6: true
    }
  }), (text) => {
    const target = parseAbsoluteTarget(text)
    if (target === null) return
    taken++
    const url = new URL(text)
    url.hash = ''
    const { origin, path } = target
    const again = origin.url + path
    if (new URL(again).href !== url.href) throw new Error(`${text} became ${again}`)
    if (JSON.stringify(parseAbsoluteTarget(again)) !== JSON.stringify(target)) throw new Error(`${again} is not stable`)
    if (parsePath(path) !== path) throw new Error(`${path} is no path`)
  }), { numRuns: 500 })
  t.ok(taken > 300)
})

t.test('what is parsed and written is parsed to the same', async (t) => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6().map((ip) => `[${ip}]`), fc.ipV6())
  fc.assert(fc.property(host, fc.integer({ min: 1, max: 65535 }), (host, port) => {
    const authority = parseAuthority(`${host}:${port}`)
    if (authority === null) throw new Error(`${host}:${port} is none`)
    const again = parseAuthority(`${authority.hostname}:${authority.port}`)
    if (authority.port !== port || JSON.stringify(again) !== JSON.stringify(authority)) {
      throw new Error(
      `${host}:${port} became ${JSON.stringify(again)}`
      )
    }
  }), { numRuns: 1_000 })
})

t.test('whatever comes in, nothing is thrown', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.webUrl()), (text) => {
    parseAuthority(text)
    const target = parseAbsoluteTarget(text)
    if (target !== null && !/^\/[!"$-~]*$/.test(target.path)) throw new Error(`${text} became ${target.path}`)
    parsePath(text)
    if (redactTarget(text).length > 203) throw new Error('too long')
  }), { numRuns: 2_000 })
})

t.test('Node\'s parser lets through no byte that is refused here, on HTTP/1.1', async (t) => {
  const server = http.createServer(
    (request, response) => response.end(parsePath(request.url!) === null ? 'refused' : 'taken')
  )
  server.on('clientError', (_err, socket) => { socket.end('HTTP/1.1 400 Bad Request\r\n\r\n') })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const bodies = new Set<string>()
  for (let byte = 0; byte < 256; byte++) {
    const client: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    client.end(
      Buffer.from(`GET /a?${String.fromCharCode(byte)}b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'latin1')
    )
    bodies.add(Buffer.concat(await client.toArray()).toString('latin1').split('\r\n\r\n')[1]!)
  }
  t.strictSame([...bodies].sort(), ['', 'taken'])
})

t.test('a password in a target is told to nobody', async (t) => {
  const seen: string[] = []
  const proxy = await start(t, {}, (app) => {
    app.addHook('onRequest', async ({ url, host }) => { seen.push(`${url} ${host}`) })
    app.setErrorHandler(async (err: Error, { url, host }, reply) => reply.code(400).send(
      { message: err.message, url, host }
    ))
  })
  const client = await proxy.client()
  for (const target of [
    'http://user:s3cr3t@example.com/a', 'http://user:s3/cr3t@example.com/a', 'ws://user:s3cr3t@example.com/a'
  ]) {
    const { status, body } = await client.ask('GET', target, { host: 'user:s3cr3t@example.com' })
    t.equal(status, 400)
    const shown = `${target.slice(0, target.indexOf('//'))}//***@example.com/a`
    t.strictSame(
      JSON.parse(body), { message: `${shown} is not a URL that this proxy can answer`, url: shown, host: 'example.com' }
    )
  }
  const { response } = await proxy.connect('user:s3cr3t@example.com:443')
  t.match(response.body, '***@example.com:443 is not a host and a port to open a tunnel to')
  const tunnel = await proxy.tunnel('example.com:80')
  t.match((
    await tunnel.ask('GET', 'http://user:s3cr3t@example.com/')
  ).body, 'http://***@example.com/ is not a URL that this proxy can answer')
  await proxy.app.close()
  t.notMatch(JSON.stringify(
    [proxy.log.lines.map((line) => ({ ...line, req: undefined, res: undefined, err: String(line.err) })), seen]
  ), /s3|cr3t/)
})
