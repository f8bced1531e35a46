/** A list of addresses and networks, such as options take it. */
import { BlockList, isIP, isIPv6 } from 'node:net'
import { canonicalAddress } from './address'

export class AddressList {
  readonly #list = new BlockList()

  /**
   * Adds an address, or a network in CIDR notation.
   * @returns `false` for text that is neither
   */
  add (entry: string): boolean {
    const [network, prefix, rest] = entry.split('/') as [string, string | undefined, string | undefined]
    const family = isIP(network)
    if (family === 0 || rest !== undefined) return false
    const bits = prefix === undefined ? (family === 4 ? 32 : 128) : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Infinity
    if (bits > (family === 4 ? 32 : 128)) return false
    this.#list.addSubnet(network, bits, family === 4 ? 'ipv4' : 'ipv6')
    return true
  }

  /** Whether an address is in the list; an IPv4-mapped one counts as the IPv4 address. */
  has (address: string): boolean {
    const plain = canonicalAddress(address)
    return this.#list.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
  }
}
