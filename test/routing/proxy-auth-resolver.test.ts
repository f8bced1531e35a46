/** proxyAuthResolver: who has to say who they are, and how their credentials are read. */
import t from 'tap'
import { proxyAuthResolver } from '../../plugin/index'
import type fastifyProx from '../../plugin/index'
import { basic } from '../support/basic'
import { echo } from '../support/echo'
import { start } from '../support/proxy'
import { jsonOf } from '../support/raw'
import { challenge, statusOf } from './support'

type ConnectContext = fastifyProx.ConnectContext

t.test('proxyAuthResolver', async (t) => {
  const proxy = await start(t, { prox: { resolver: proxyAuthResolver() } }, echo)

  t.test('asks for credentials in absolute-form', async (t) => {
    const client = await proxy.client()
    const without: Array<Record<string, string>> = [
      {},
      { 'proxy-authorization': 'Bearer abc' },
      { 'proxy-authorization': 'Basic' },
      { 'proxy-authorization': 'Basic %%' },
      { authorization: `Basic ${Buffer.from('user:').toString('base64')}` },
      basic('no colon'),
      basic(':password')
    ]
    for (const fields of without) {
      const sent = { 'content-type': 'odd/type', ...fields }
      const { status, headers, body } = await client.ask('POST', 'http://example.com/', sent, 'content')
      t.equal(status, 407)
      t.equal(headers['proxy-authenticate'], 'Basic realm="Please enter prefix path", charset="UTF-8"')
      t.match(JSON.parse(body), { code: 'FST_PROX_AUTH_REQUIRED', statusCode: 407 })
    }
    const download = await client.ask('GET', 'http://fastify-prox/download/pem')
    t.match(download, { status: 407 }, 'hosts of the application are no exception')
    t.equal((await client.ask('GET', '/direct')).status, 200, 'but direct requests are')
  })

  t.test('makes the user name the prefix', async (t) => {
    const client = await proxy.client()
    const usernames = ['user', 'a b', 'a/b', 'Ünï/cödé', '100%', '?q#f', '..', 'a@b', '\u0000', '😀']
    for (const username of usernames) {
      const { body } = await client.ask('GET', 'http://example.com/a?b', basic(`${username}:pass:word`))
      const told = JSON.parse(body)
      t.equal(told.url, `/${encodeURIComponent(username)}/http://example.com/a?b`)
      t.equal(told.params['*'], `${username}/http://example.com/a`)
      t.equal(told.proxy.username, username)
      t.notOk('proxy-authorization' in told.headers)
    }
    const invalid = await client.ask('GET', 'http://example.com/', basic(Buffer.from([0x61, 0xff, 0x3a])))
    t.equal(JSON.parse(invalid.body).proxy.username, 'a\u00ff', 'what is no UTF-8 is Latin-1')
    const oddlySpelt = { 'proxy-authorization': 'bAsIc   dXNlcjo= ' }
    t.equal((await client.ask('GET', 'http://example.com/', oddlySpelt)).status, 200)
  })

  t.test('asks before a tunnel opens, and never in it', async (t) => {
    const refused = await proxy.connect('example.com:443')
    t.match(refused.response, { status: 407, headers: challenge('Please enter prefix path') })
    const client = await proxy.tls('example.com:443', {}, basic('user:'))
    for (const path of ['/a', '/b']) {
      t.match(await jsonOf(client.ask('GET', path)), {
        url: `/user/https://example.com${path}`,
        proxy: { username: 'user' }
      })
    }
  })
})

t.test('a realm is quoted, and has to be printable ASCII', async (t) => {
  const realms: Array<[realm: string, challenge: string]> = [
    ['', 'Basic realm="", charset="UTF-8"'],
    ['a "b" \\c', 'Basic realm="a \\"b\\" \\\\c", charset="UTF-8"']
  ]
  for (const [realm, challenge] of realms) {
    const proxy = await start(t, { prox: { resolver: proxyAuthResolver({ realm }) } })
    t.equal((await proxy.get('http://example.com/')).headers['proxy-authenticate'], challenge)
  }
  for (const realm of ['ü', 'a\r\nb', 5, null]) {
    t.throws(() => proxyAuthResolver({ realm: realm as string }), {
      code: 'FST_PROX_INVALID_OPTION',
      message: /^The option realm takes a string of printable ASCII, got /
    })
  }
  const resolver = Object.assign(() => '/', { requireAuth: () => 'Größe\r\nX: 1' })
  const proxy = await start(t, { prox: { resolver } })
  const headers = { ...challenge('Gr??e??X: 1'), x: undefined }
  t.match(await proxy.get('http://example.com/'), { status: 407, headers })
})

t.test('validate lets in who it answers true for, and nobody else', async (t) => {
  const seen: string[] = []
  const validates: Record<string, (username: string, password: string) => unknown> = {
    sync: (username, password) => password === 'right',
    async: async (username, password) => password === 'right',
    thenable: (username, password) => ({
      then: (resolve: (valid: boolean) => void) => { resolve(password === 'right') }
    }),
    'neither true nor false': (username, password) => password === 'right' || 'truthy'
  }
  for (const [name, validate] of Object.entries(validates)) {
    t.test(name, async (t) => {
      const resolver = proxyAuthResolver({
        validate: (username, password) => {
          seen.push(`${username} ${password}`)
          return validate(username, password) as boolean
        }
      })
      const proxy = await start(t, { prox: { resolver } }, echo)
      t.equal(await statusOf(proxy, 'http://example.com/', basic('user:right')), 200)
      t.equal(await statusOf(proxy, 'http://example.com/', basic('user:wrong')), 407)
      t.equal(await statusOf(proxy, 'http://example.com/', basic(':right')), 407)
      t.equal((await proxy.connect('example.com:443', basic('user:wrong'))).response.status, 407)
      t.equal((await proxy.connect('example.com:443', basic('user:right'))).response.status, 200)
      t.strictSame(seen.splice(0), ['user right', 'user wrong', 'user wrong', 'user right'])
    })
  }

  t.test('and has its errors answered', async (t) => {
    const fail = (): never => { throw new Error('the database is away') }
    for (const validate of [fail, async () => fail()]) {
      const proxy = await start(t, { prox: { resolver: proxyAuthResolver({ validate }) } }, echo)
      const failed = { status: 500, body: /the database is away/ }
      t.match(await proxy.get('http://example.com/', basic('user:')), failed)
      t.match((await proxy.connect('example.com:443', basic('user:'))).response, failed)
    }
  })

  t.throws(() => proxyAuthResolver({ validate: 'yes' as never }), {
    code: 'FST_PROX_INVALID_OPTION',
    message: /^The option validate takes a function of user name and password, got a string$/
  })
})

t.test('credentials that are not ASCII are read as UTF-8, or else as Latin-1', async (t) => {
  const asked: string[] = []
  const resolver = proxyAuthResolver({
    validate: (username, password) => {
      asked.push(`${username} ${password}`)
      return username === 'jürgen' && password === 'größe'
    }
  })
  const decided: ConnectContext[] = []
  const onConnect = (context: ConnectContext): void => { decided.push(context) }
  const proxy = await start(t, { prox: { resolver, onConnect } }, echo)
  const utf8 = basic('jürgen:größe')
  const latin1 = basic(Buffer.from('jürgen:größe', 'latin1'))
  // The user name alone would be valid UTF-8; the password is not, so both are read as Latin-1.
  const both = basic(Buffer.from('jÃ¼rgen:größe', 'latin1'))
  for (const [name, headers, readings] of [
    ['UTF-8', utf8, ['jürgen größe']],
    ['Latin-1', latin1, ['jürgen größe']],
    ['both', both, ['jÃ¼rgen größe']]
  ] as const) {
    t.test(name, async (t) => {
      const { status, body } = await proxy.get('http://example.com/', headers)
      t.equal(status, name === 'both' ? 407 : 200)
      if (status === 200) {
        t.match(JSON.parse(body), { url: '/j%C3%BCrgen/http://example.com/', proxy: { username: 'jürgen' } })
      }
      t.strictSame(asked.splice(0), readings)
    })
  }

  t.test('and are tried in the other reading when the first is refused', async (t) => {
    const accents = proxyAuthResolver({ validate: (username) => username === 'Ã¼' })
    const proxy = await start(t, { prox: { resolver: accents, onConnect } }, echo)
    const headers = basic(Buffer.from([0xc3, 0xbc, 0x3a]))
    t.match(await jsonOf(proxy.get('http://example.com/', headers)), {
      url: '/%C3%83%C2%BC/http://example.com/',
      proxy: { username: 'Ã¼', url: 'http://example.com/' }
    })
    decided.splice(0)
    const client = await proxy.tls('example.com:443', {}, headers)
    t.match(decided, [{ credentials: { username: 'Ã¼' }, authority: 'example.com:443' }])
    const resolved = { url: '/%C3%83%C2%BC/https://example.com/', proxy: { username: 'Ã¼' } }
    t.match(await jsonOf(client.ask('GET', '/')), resolved)
    const injected = await proxy.app.injectProxy({ url: 'https://example.com/', headers })
    t.match(injected.json(), resolved)
    t.equal(await statusOf(proxy, 'http://example.com/', basic('ö:')), 407)
  })
})

t.test('options of proxyAuthResolver that are not known are refused', async (t) => {
  t.throws(() => proxyAuthResolver({ valiadte: () => false } as never), {
    code: 'FST_PROX_UNKNOWN_OPTION',
    message: 'There is no option "valiadte". Did you mean "validate"?'
  })
  t.throws(() => proxyAuthResolver({ password: 's3cr3t' } as never), {
    message: 'There is no option "password". The options are realm, validate'
  })
})
