/** Reads, writes and applies name constraints (RFC 5280 4.2.1.10): the names that a CA may sign for. */
import { isIP } from 'node:net'
import { children, contents, decode, encode, implicit, sequence, tagged } from './der'
import type { Node } from './der'
import { addressBytes, addressText, normalizeHost } from './names'

/** GeneralName tags (RFC 5280 4.2.1.6). */
export const DNS_NAME = 2
export const IP_ADDRESS = 7

/** A DNS name with everything under it, or a network: its address, followed by its mask. */
type Subtree = { dns: string } | { network: Buffer }

/** What a CA may sign for: what is permitted, without what is excluded. */
export interface NameConstraints {
  readonly permitted: readonly Subtree[]
  readonly excluded: readonly Subtree[]
}

/** The constraints of a CA without any: everything is permitted. */
export const UNCONSTRAINED: NameConstraints = { permitted: [], excluded: [] }

/** Excludes all addresses: without it, a CA that is held to DNS names could still sign for every address. */
const NO_ADDRESS: Subtree[] = [{ network: Buffer.alloc(8) }, { network: Buffer.alloc(32) }]

function parsePermit (permit: string): Subtree {
  const slash = permit.lastIndexOf('/')
  const host = normalizeHost((slash === -1 ? permit : permit.slice(0, slash)).replace(/^\./, ''))
  const family = isIP(host)
  if (family === 0) {
    if (slash !== -1) throw new RangeError('a prefix length belongs to an address')
    return { dns: host }
  }
  const address = addressBytes(host)
  const length = slash === -1 ? address.length * 8 : Number(permit.slice(slash + 1))
  if (!Number.isInteger(length) || length < 0 || length > address.length * 8) {
    throw new RangeError('no such prefix length')
  }
  const mask = Buffer.from(address.map((_, i) => 0xff00 >> Math.min(8, Math.max(0, length - i * 8)) & 0xff))
  return { network: Buffer.concat([address.map((byte, i) => byte & mask[i]!), mask]) }
}

/**
 * Makes the constraints of a list of DNS names (`'.test'` and `'test'` both mean it and everything under it), addresses
 * and networks (`'10.0.0.0/8'`). A kind of name that no entry has, such as addresses, is excluded as a whole.
 *
 * @throws when an entry is none of these.
 */
export function constraintsOf (permit: readonly string[]): NameConstraints {
  const permitted = permit.map(parsePermit)
  const excluded: Subtree[] = []
  if (!permitted.some((subtree) => 'network' in subtree)) excluded.push(...NO_ADDRESS)
  if (!permitted.some((subtree) => 'dns' in subtree)) excluded.push({ dns: '' })
  return { permitted, excluded }
}

function encodeSubtrees (tag: number, subtrees: readonly Subtree[]): Node[] {
  if (subtrees.length === 0) return []
  return [tagged(tag, ...subtrees.map((subtree) => sequence('dns' in subtree
    ? implicit(DNS_NAME, subtree.dns)
    : implicit(IP_ADDRESS, subtree.network))))]
}

/** Writes the value of the extension. */
export function encodeConstraints ({ permitted, excluded }: NameConstraints): Buffer {
  return encode(sequence(...encodeSubtrees(0, permitted), ...encodeSubtrees(1, excluded)))
}

function decodeSubtrees (list: Node | undefined): Subtree[] {
  const subtrees: Subtree[] = []
  for (const subtree of list === undefined ? [] : children(list)) {
    const [base] = children(subtree) as [Node]
    // Leaves carry no names of other kinds.
    if (Number(base.type) === DNS_NAME) subtrees.push({ dns: contents(base).toString('latin1').toLowerCase() })
    if (Number(base.type) === IP_ADDRESS) subtrees.push({ network: contents(base) })
  }
  return subtrees
}

/** Reads the value of the extension. */
export function decodeConstraints (der: Buffer): NameConstraints {
  const lists = children(decode(der))
  return {
    permitted: decodeSubtrees(lists.find((list) => Number(list.type) === 0)),
    excluded: decodeSubtrees(lists.find((list) => Number(list.type) === 1))
  }
}

/** The constraints as `permit` writes them. */
function textOf (subtree: Subtree): string {
  if ('dns' in subtree) return subtree.dns === '' ? 'all DNS names' : subtree.dns
  const { network } = subtree
  const half = network.length / 2
  const bits = [...network.subarray(half)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return `${addressText(network.subarray(0, half))}/${bits.replace(/0+$/, '').length}`
}

/** Lists what is permitted and excluded, each as the option `permit` writes it. */
export function describeConstraints (
  { permitted, excluded }: NameConstraints
): { permit: string[], exclude: string[] } {
  return { permit: permitted.map(textOf), exclude: excluded.map(textOf) }
}

function contains (subtree: Subtree, name: string): boolean {
  if ('dns' in subtree) {
    if (isIP(name) !== 0) return false
    // A leading dot, which the RFC knows in URIs only, is understood by verifiers as "everything under it".
    const suffix = subtree.dns.startsWith('.') ? subtree.dns : `.${subtree.dns}`
    return subtree.dns === '' || name === subtree.dns || name.endsWith(suffix)
  }
  if (isIP(name) === 0) return false
  const address = addressBytes(name)
  return subtree.network.length === address.length * 2 &&
    address.every((byte, i) => (byte & subtree.network[address.length + i]!) === subtree.network[i])
}

/** Whether a name is a wildcard for some of what the subtree is about: `*.example.com` for `bad.example.com`. */
function isWildcardAbove (name: string, subtree: Subtree): boolean {
  return name.startsWith('*.') && 'dns' in subtree && subtree.dns.endsWith(name.slice(1))
}

/** Whether the CA may sign for a name: a host in canonical form, or a wildcard. */
export function permits ({ permitted, excluded }: NameConstraints, name: string): boolean {
  if (excluded.some((subtree) => contains(subtree, name) || isWildcardAbove(name, subtree))) return false
  const kind = isIP(name) === 0 ? 'dns' : 'network'
  const same = permitted.filter((subtree) => kind in subtree)
  return same.length === 0 || same.some((subtree) => contains(subtree, name))
}
