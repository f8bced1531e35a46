/** What clients are counted by: `tunnelsPerClient` holds for each. */
import t from 'tap'
import { clientKey } from '../../plugin/tunnel/registry'

const KEYS: Array<[address: string | undefined, key: string | null]> = [
  [undefined, null],
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['::1', '0:0:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['2001:db8::', '2001:db8:0:0::/64'],
  ['2001:DB8:0:0:1::1', '2001:db8:0:0::/64'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::2:3:4:5:6', '2001:db8:0:2::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64']
]

for (const [address, key] of KEYS) {
  t.test(`${address}`, async (t) => {
    t.equal(clientKey(address), key)
  })
}
