/**
 * Tells public addresses from those that only this machine, its network or its cloud can mean. An IPv6 address that
 * carries an IPv4 address (mapped, NAT64, 6to4) is as public as the one inside.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** IPv4 that is not globally reachable (the IANA registry of special-purpose addresses), and multicast. */
const SPECIAL_IPV4: ReadonlyArray<readonly [network: string, prefix: number]> = [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12],
  ['192.0.0.0', 24], ['192.0.2.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['198.18.0.0', 15],
  ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4],
  // What Azure serves metadata and keys from; other clouds use addresses of the ranges above.
  ['168.63.129.16', 32]
]

/** Parts of the global unicast space that are not for hosts of the Internet: Teredo and its like, documentation. */
const SPECIAL_IPV6: ReadonlyArray<readonly [network: string, prefix: number]> = [
  ['2001::', 23], ['2001:db8::', 32], ['3fff::', 20]
]

const ipv4 = new BlockList()
for (const [network, prefix] of SPECIAL_IPV4) ipv4.addSubnet(network, prefix, 'ipv4')

const ipv6 = new BlockList()
for (const [network, prefix] of SPECIAL_IPV6) ipv6.addSubnet(network, prefix, 'ipv6')

/** Whether an address is one that the whole Internet can mean; text that is no address is not. */
export function isPublicAddress (address: string): boolean {
  const plain = withoutZone(address)
  const inner = embeddedIPv4(plain)
  if (inner !== null) return !ipv4.check(inner, 'ipv4')
  // Global unicast addresses are of 2000::/3; loopback, link-local, ULA and multicast are not (RFC 4291 2.4).
  return isIPv6(plain) && (hextets(plain)[0]! & 0xe000) === 0x2000 && !ipv6.check(plain, 'ipv6')
}

/** The IPv4 address that an address is or carries, or `null`. */
export function embeddedIPv4 (address: string): string | null {
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return null
  const groups = hextets(address)
  const head = groups.slice(0, 6).map((group) => group.toString(16)).join(':')
  // IPv4-mapped (RFC 4291 2.5.5.2) and the well-known prefix of NAT64 (RFC 6052 2.1).
  if (head === '0:0:0:0:0:ffff' || head === '64:ff9b:0:0:0:0') return dotted(groups[6]!, groups[7]!)
  // 6to4 (RFC 3056 2).
  return groups[0] === 0x2002 ? dotted(groups[1]!, groups[2]!) : null
}

/** The one form of an address by which two can be compared: that of an IPv4-mapped address is the IPv4 address. */
export function canonicalAddress (address: string): string {
  const plain = withoutZone(address)
  if (!isIPv6(plain)) return plain
  const groups = hextets(plain)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  return mapped ? dotted(groups[6]!, groups[7]!) : groups.map((group) => group.toString(16)).join(':')
}

/** `fe80::1%eth0` without its zone, which says how to get there and not where it is. */
function withoutZone (address: string): string {
  const percent = address.indexOf('%')
  return percent === -1 ? address : address.slice(0, percent)
}

/** The eight groups of a valid IPv6 address. */
function hextets (address: string): number[] {
  const tail = /\d+\.\d+\.\d+\.\d+$/.exec(address)
  const text = tail === null ? address : address.slice(0, tail.index) + hexadecimal(tail[0])
  const [left = [], right] = text.split('::').map((half) => half === '' ? [] : half.split(':'))
  const zeros = right === undefined ? 0 : 8 - left.length - right.length
  return [...left, ...Array<string>(zeros).fill('0'), ...(right ?? [])].map((group) => Number.parseInt(group, 16))
}

function hexadecimal (address: string): string {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

function dotted (high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
