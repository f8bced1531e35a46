import t from 'tap'
import { startForward, startSite } from './support'

const REFUSED = [
  '127.0.0.1',
  '[::1]',
  '[::ffff:127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '10.0.0.1',
  '169.254.169.254',
  'localhost',
  '0.0.0.0'
]

t.test('refuses private addresses unless they are allowed', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const proxy = await startForward(t, { allow: 'public' })
  for (const host of REFUSED) {
    const client = await proxy.client()
    const { status, body } = await client.ask('GET', `http://${host}:${site.port}/`)
    t.strictSame([status, JSON.parse(body).code], [403, 'FST_PROX_ADDRESS_REFUSED'], host)
  }
  t.equal(site.seen.length, 0)
})

t.test('connects to the address that it has checked, whatever the DNS says next', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('ok'))
  const answers = [[{ address: '127.0.0.1', family: 4 }], [{ address: '10.0.0.1', family: 4 }]]
  let asked = 0
  const proxy = await startForward(t, {
    allow: (addresses) => addresses.every((address) => address === '127.0.0.1'),
    lookup: (_hostname, _options, callback) => callback(null, answers[asked++ % 2]!)
  })
  const ask = async (host: string): Promise<number> => {
    const client = await proxy.client()
    return (await client.ask('GET', `http://${host}:${site.port}/`)).status
  }
  t.equal(await ask('a.test'), 200)
  t.equal(asked, 1, 'one look-up for the check and the connection')
  t.equal(await ask('b.test'), 403, 'the answer has changed')
})

t.test('refuses a name with one bad address among good ones', async (t) => {
  const addresses = [{ address: '1.1.1.1', family: 4 }, { address: 'fd00::1', family: 6 }]
  const proxy = await startForward(t, {
    allow: 'public',
    lookup: (_hostname, _options, callback) => callback(null, addresses)
  })
  t.equal((await (await proxy.client()).ask('GET', 'http://a.test/')).status, 403)
})

t.test('does not forward to itself', async (t) => {
  const proxy = await startForward(t)
  const { status, body } = await (await proxy.client()).ask('GET', `http://127.0.0.1:${proxy.port}/`)
  t.strictSame([status, /this proxy itself/.test(body)], [403, true])
})

t.test('says when a name has no address', async (t) => {
  const proxy = await startForward(t, {
    lookup: (hostname, _options, callback) => hostname === 'none.test'
      ? callback(null, [])
      : callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), [])
  })
  for (const host of ['none.test', 'unknown.test']) {
    const { status, body } = await (await proxy.client()).ask('GET', `http://${host}/`)
    t.strictSame([status, JSON.parse(body).code], [502, 'FST_PROX_UPSTREAM_UNRESOLVED'])
  }
})
