/** Options are checked when the plugin loads: each error names the option, what it takes and what it got. */
import Fastify from 'fastify'
import t from 'tap'
import fastifyProx from '../plugin/index'
import { readOptions } from '../plugin/options'
import { create } from './support/proxy'

const KEY = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n'

async function errorOf (options: object): Promise<Error & { code?: string }> {
  const app = Fastify()
  try {
    await app.register(fastifyProx, { ca: { store: new Map() }, ...options })
  } catch (err) {
    return err as Error
  } finally {
    await app.close()
  }
  throw new Error(`no error for ${JSON.stringify(options)}`)
}

t.test('wrong options are refused, and the message says what is right', async (t) => {
  const circular: { self?: unknown } = {}
  circular.self = circular
  const wrong: Array<[options: object, says: string]> = [
    [{ prefix: '/a' }, 'register it without the prefix /a'],
    [{ resolve: '/' }, 'There is no option "resolve". Did you mean "resolver"?'],
    [{ ProxyApp: {} }, 'There is no option "ProxyApp". Did you mean "proxyApps"?'],
    [{ constructor: 1 }, 'There is no option "constructor". The options are resolver, proxyHost, downloadHost, ' +
      'proxyApps, ca, websockets, http2, tls, keyLogFile, onConnect, proxyProtocol, timeouts, limits, keepAliveMax'],
    [{ 'no option at all': 1 }, "There is no option 'no option at all'. The options are resolver, "],
    [{ ['x'.repeat(500)]: 1 }, 'There is no option a string. The options are resolver, '],
    [{ resolver: 'prefix' }, 'The option resolver takes a prefix that begins with "/", or a function, got \'prefix\''],
    [{ resolver: '' }, 'The option resolver takes a prefix'],
    [{ resolver: null }, 'The option resolver takes a prefix'],
    [
      { resolver: Object.assign(() => '/', { requireAuth: true }) },
      'The option resolver.requireAuth takes a function, got true'
    ],
    [{ proxyHost: '' }, "The option proxyHost takes a string that is not empty, got ''"],
    [{ proxyHost: 1 }, 'The option proxyHost takes a string that is not empty, got 1'],
    [
      { proxyHost: 'a:80' },
      'The option proxyHost takes a host name such as "api.example.com", without port, got \'a:80\''
    ],
    [
      { proxyHost: '*.example.com' },
      'The option proxyHost takes a host name such as "api.example.com", without port, got \'*.example.com\''
    ],
    [{ downloadHost: '*.example.com' }, 'The option downloadHost takes a host name'],
    [{ downloadHost: true }, 'The option downloadHost takes a string that is not empty, got true'],
    [{ downloadHost: 'http://a/' }, 'The option downloadHost takes a host name'],
    [{ proxyApps: [] }, 'The option proxyApps takes an object, got []'],
    [
      { proxyApps: { a: {} } },
      "The option proxyApps['a'] takes a plugin, or null for a further name of the application, got an object"
    ],
    [{ proxyApps: { a: undefined } }, "The option proxyApps['a'] takes a plugin, or null"],
    [
      { proxyApps: { 'a b': null } },
      'The option proxyApps takes host names such as "api.example.com" or "*.example.com", without port, got \'a b\''
    ],
    [{ proxyApps: { '*': null } }, 'without port (for all hosts there is the option resolver), got \'*\''],
    [
      { proxyApps: { 'a.test': null, 'A.TEST': null } },
      "The option proxyApps takes each host once, got 'a.test' and 'A.TEST'"
    ],
    [
      { proxyApps: { '*.a.test': null, '*.A.test.': null } },
      "The option proxyApps takes each host once, got '*.a.test' and '*.A.test.'"
    ],
    [{ proxyApps: { a: { default: 5 } } }, "The option proxyApps['a'] takes a plugin, or null"],
    [{ proxyApps: { '*.': null } }, 'The option proxyApps takes host names'],
    [{ proxyApps: { 'a.*.b': null } }, 'The option proxyApps takes host names'],
    [{ proxyApps: { '1.2.3': null } }, 'The option proxyApps takes host names'],
    [{ proxyProtocol: true }, 'The option proxyProtocol takes an object, got true'],
    [
      { proxyProtocol: {} },
      "The option proxyProtocol.trusted takes a list of addresses and networks, such as ['10.0.0.0/8'], " +
      "and 'unix' for a unix socket, got undefined"
    ],
    ...[[], ['10.0.0.0/33'], ['::1/129'], ['10.0.0.0/8/8'], ['10.0.0.0/x'], ['a.test'], [''], [1], '10.0.0.1']
      .map((trusted): [object, string] => [{ proxyProtocol: { trusted } }, 'The option proxyProtocol.trusted takes']),
    [
      { proxyProtocol: { trusted: ['unix'], timeout: -1 } },
      'The option proxyProtocol.timeout takes whole milliseconds from 0'
    ],
    [{ ca: null }, 'The option ca takes an object, got null'],
    [{ ca: KEY }, "The option ca takes an object: { file: './ca.pem' } for a CA in a file, got a PEM text"],
    [{ ca: './my.pem' }, "The option ca takes an object: { file: './my.pem' } for a CA in a file, got './my.pem'"],
    [{ ca: { filee: 'x' } }, 'There is no option "ca.filee". Did you mean "ca.file"?'],
    [{ tls: KEY }, 'The option tls takes options of tls.createSecureContext other than key, cert, pfx, got a PEM text'],
    [
      { tls: { key: KEY } },
      'The option tls takes options of tls.createSecureContext other than key, cert, pfx, got an object'
    ],
    [
      { tls: { ciphers: 'none-such' } },
      'The option tls takes options of tls.createSecureContext other than key, cert, pfx, got some that it refuses: '
    ],
    [{ websockets: 'yes' }, "The option websockets takes true or false, got 'yes'"],
    [{ http2: 0 }, 'The option http2 takes true or false, got 0'],
    [{ keyLogFile: '' }, 'The option keyLogFile takes a path'],
    [{ keyLogFile: KEY }, 'The option keyLogFile takes a path, got a PEM text'],
    [{ onConnect: {} }, 'The option onConnect takes a function, got an object'],
    [{ onConnect: null }, 'The option onConnect takes a function, got null'],
    [{ timeouts: 5 }, 'The option timeouts takes an object, got 5'],
    [
      { timeouts: { toString: 5 } },
      'There is no option "timeouts.toString". The options are firstByte, handshake, idle, passIdle, close'
    ],
    [{ timeouts: { idle: -1 } }, 'The option timeouts.idle takes whole milliseconds from 0 to 2147483647, got -1'],
    [{ timeouts: { idle: 1.5 } }, 'got 1.5'],
    [{ timeouts: { idle: '1s' } }, "got '1s'"],
    [{ timeouts: { close: Infinity } }, 'got Infinity'],
    [{ timeouts: { close: 2 ** 31 } }, 'got 2147483648'],
    [{ limits: { tunnel: 1 } }, 'There is no option "limits.tunnel". Did you mean "limits.tunnels"?'],
    [{ limits: { tunnels: 0 } }, 'The option limits.tunnels takes a whole number from 1, or Infinity, got 0'],
    [{ limits: { tunnels: NaN } }, 'got NaN'],
    [{ keepAliveMax: circular }, 'The option keepAliveMax takes a whole number from 1, or Infinity, got an object'],
    [{ [KEY]: KEY }, 'There is no option a PEM text. The options are '],
    [{ resolver: KEY }, 'The option resolver takes a prefix']
  ]
  for (const [options, says] of wrong) {
    const err = await errorOf(options)
    t.ok(err.message.includes(says), `${says} | ${err.message}`)
    const unknown = says.startsWith('There is no option') ? 'FST_PROX_UNKNOWN_OPTION' : 'FST_PROX_INVALID_OPTION'
    t.equal(err.code, 'prefix' in options ? 'FST_PROX_NOT_AT_ROOT' : unknown)
    t.notMatch(err.message, 'MBMGByqGSM49', 'no key is shown')
  }
})

t.test('what is left out, or undefined, has a default', async (t) => {
  const { resolver, ...defaults } = readOptions({})
  const url = 'http://example.com/a?b'
  t.equal(resolver(url, {} as never), `/${url}`)
  t.strictSame(defaults, {
    proxyHost: 'fastify-prox',
    downloadHost: 'fastify-prox',
    proxyApps: [],
    ca: {},
    websockets: true,
    http2: true,
    tls: {},
    keyLogFile: null,
    onConnect: undefined,
    proxyProtocol: null,
    timeouts: { firstByte: 10_000, handshake: 10_000, idle: 0, passIdle: 600_000, close: 5_000 },
    limits: { tunnels: 10_000, tunnelsPerClient: 1_000 },
    keepAliveMax: Infinity
  })
  const names = Object.keys(readOptions({}))
  const { resolver: again, ...undefineds } = readOptions(
    { ...Object.fromEntries(names.map((name) => [name, undefined])), timeouts: { idle: undefined } }
  )
  t.type(again, 'function')
  t.strictSame(undefineds, defaults)
})

t.test('what is given is taken', async (t) => {
  const onConnect = (): void => {}
  const app = async (): Promise<void> => {}
  const given = readOptions({
    proxyHost: 'a',
    downloadHost: false,
    proxyApps: { b: app, c: null },
    websockets: false,
    http2: false,
    tls: { minVersion: 'TLSv1.3' },
    keyLogFile: 'keys.log',
    onConnect,
    timeouts: { idle: 5 },
    limits: { tunnels: Infinity },
    keepAliveMax: 7
  })
  t.match(given, {
    proxyHost: 'a',
    downloadHost: null,
    proxyApps: [['b', app], ['c', null]],
    websockets: false,
    http2: false,
    tls: { minVersion: 'TLSv1.3' },
    keyLogFile: 'keys.log',
    onConnect,
    timeouts: { firstByte: 10_000, idle: 5 },
    limits: { tunnels: Infinity, tunnelsPerClient: 1_000 },
    keepAliveMax: 7
  })
  t.equal(readOptions({ proxyHost: 'a' }).downloadHost, 'a', 'the download host is the proxy host')
  t.equal(readOptions({ proxyHost: 'a', downloadHost: 'b' }).downloadHost, 'b')
})

t.test('options of fastify.register itself pass', async (t) => {
  const { app } = await create(t, { prox: { logLevel: 'warn' } as fastifyProx.FastifyProxOptions })
  await app.ready()
})

t.test('tls belongs to the CA, which has its own when it is made beforehand', async (t) => {
  const ca = await fastifyProx.CertificateAuthority.load({ store: new Map() })
  const { app } = await create(t, { prox: { ca } })
  t.equal(app.proxyCA, ca)
  t.match(await errorOf({ ca, tls: { minVersion: 'TLSv1.3', passphrase: 'secret' } }), {
    code: 'FST_PROX_INVALID_OPTION',
    message: /^The option tls takes no value when ca is a CertificateAuthority, which has its own, got an object$/
  })
})
