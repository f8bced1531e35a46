import t from 'tap'
import { AddressGuard } from '../../net/guard'
import { canonicalAddress, embeddedIPv4, isPublicAddress } from '../../net/address'
import type { AllowAddresses } from '../../types/net'

const PRIVATE = [
  '0.0.0.0', '0.1.2.3', '10.0.0.1', '100.64.0.1', '100.100.100.200', '127.0.0.1', '127.255.255.255',
  '168.63.129.16', '169.254.169.254', '172.16.0.1', '172.31.255.255', '192.0.0.192', '192.0.2.1', '192.168.1.1',
  '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255',
  '::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd00:ec2::254', 'ff02::1', '2001:db8::1', '2001::1', '3fff::1',
  'fec0::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:a00:1', '::127.0.0.1', '64:ff9b::127.0.0.1',
  '64:ff9b::a9fe:a9fe', '64:ff9b:1::1', '2002:7f00:1::', '2002:a9fe:a9fe::1', '2002:c0a8:101::', 'localhost', ''
]

const PUBLIC = [
  '1.1.1.1', '9.255.255.255', '100.63.255.255', '100.128.0.0', '172.15.0.1', '172.32.0.1', '192.0.1.1',
  '223.255.255.255', '2606:4700::1111', '2a00::1', '::ffff:1.1.1.1', '64:ff9b::1.1.1.1', '2002:101:101::1',
  '2001:200::1'
]

const NO_VALUES = [
  'private', undefined, 5, null, {}, ['10.0.0.0/33'], ['10.0.0.0/x'], ['10.0.0.0/8/8'], ['a b'], [5], ['::/129'], ['']
]

t.test('tells public addresses from others, in every form', async (t) => {
  for (const address of PRIVATE) t.equal(isPublicAddress(address), false, address)
  for (const address of PUBLIC) t.equal(isPublicAddress(address), true, address)
  t.equal(embeddedIPv4('nothing'), null)
  t.equal(canonicalAddress('::FFFF:1.2.3.4'), '1.2.3.4')
  t.equal(canonicalAddress('fe80:0::1%lo'), 'fe80:0:0:0:0:0:0:1')
})

async function decide (allow: AllowAddresses, addresses: string[], hostname = 'a.test'): Promise<string> {
  const guard = new AddressGuard(allow, () => [
    { address: '127.0.0.1', port: 8080, family: 'IPv4' }, { address: '0.0.0.0', port: 9090, family: 'IPv4' }
  ])
  return await guard.assertAllowed(addresses, { hostname, port: 8080 }).then(() => 'allowed', (err) => err.code)
}

t.test('refuses a name when one of its addresses is refused', async (t) => {
  t.equal(await decide('public', ['1.1.1.1', '2606:4700::1111']), 'allowed')
  t.equal(await decide('public', ['1.1.1.1', '10.0.0.1']), 'FST_PROX_ADDRESS_REFUSED')
})

t.test('a list lets more through: addresses, blocks and names', async (t) => {
  const list = ['public', '10.0.0.0/8', 'fd00::/8', '192.168.1.1', 'Intern.test', '*.lan.test.']
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '192.168.1.1', '1.1.1.1']) {
    t.equal(await decide(list, [address]), 'allowed', address)
  }
  t.equal(await decide(list, ['192.168.1.2']), 'FST_PROX_ADDRESS_REFUSED')
  t.equal(await decide(list, ['172.16.0.1'], 'INTERN.test'), 'allowed')
  t.equal(await decide(list, ['172.16.0.1'], 'a.lan.test'), 'allowed')
  t.equal(await decide(list, ['172.16.0.1'], 'lan.test'), 'FST_PROX_ADDRESS_REFUSED')
})

t.test('a function decides alone, and has to say true', async (t) => {
  const allow: AllowAddresses = (addresses, { hostname }) => hostname === 'a.test' && addresses.length === 1
  t.equal(await decide(allow, ['10.0.0.1']), 'allowed')
  t.equal(await decide(async () => false, ['1.1.1.1']), 'FST_PROX_ADDRESS_REFUSED')
  t.equal(await decide((() => 1) as never, ['1.1.1.1']), 'FST_PROX_ADDRESS_REFUSED')
})

t.test('never connects to the proxy itself, in any form of its address', async (t) => {
  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '64:ff9b::7f00:1']) {
    t.equal(await decide(() => true, [address]), 'FST_PROX_ADDRESS_REFUSED', address)
  }
  t.equal(await decide(() => true, ['127.0.0.2']), 'allowed', 'where nobody listens')
  const everywhere = new AddressGuard(() => true, () => [{ address: '::', port: 1, family: 'IPv6' }])
  for (const address of ['127.9.9.9', '::1', '::', '0.0.0.0']) {
    const refused = everywhere.assertAllowed([address], { hostname: address, port: 1 })
    await t.rejects(refused, { code: 'FST_PROX_ADDRESS_REFUSED' }, address)
  }
  await everywhere.assertAllowed(['1.1.1.1'], { hostname: 'a', port: 1 })
})

t.test('allow takes no other value', async (t) => {
  for (const allow of NO_VALUES) {
    const create = (): unknown => new AddressGuard(allow as never, () => [])
    t.throws(create, { code: 'FST_PROX_INVALID_OPTION' }, JSON.stringify(allow))
  }
})
