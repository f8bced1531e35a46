/** Decides which addresses may be connected to: private ones are refused unless they were allowed, our own always. */
import { networkInterfaces } from 'node:os'
import type { AddressInfo } from 'node:net'
import type { AllowAddresses, DialTarget } from '../types/net'
import { FST_PROX_ADDRESS_REFUSED, FST_PROX_INVALID_OPTION, show } from '../plugin/errors'
import { canonicalAddress, embeddedIPv4, isPublicAddress } from './address'
import { AddressList } from './address-list'

/** The addresses that a server listens on, at the time of asking. */
export type OwnAddresses = () => readonly AddressInfo[]

const TAKES = '\'public\', a list of addresses, CIDR blocks and host names, or a function'
const NAME = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?$/

/** The addresses, of those that a name has, that may not be connected to. */
type Decide = (addresses: readonly string[], target: DialTarget) => Promise<readonly string[]>

type Rule = (address: string, hostname: string) => boolean

/** The addresses that a server listens on, of which it tells paths of unix sockets too. */
export function ownAddresses (server: { addresses (): Array<AddressInfo | string> }): OwnAddresses {
  return () => server.addresses().filter((address) => typeof address === 'object')
}

export class AddressGuard {
  readonly #decide: Decide
  readonly #own: OwnAddresses

  /** @throws FST_PROX_INVALID_OPTION for anything that is not one of the three */
  constructor (allow: AllowAddresses, own: OwnAddresses) {
    this.#own = own
    this.#decide = decisionOf(allow)
  }

  /**
   * Checks every address that a name has: one that may not be connected to is enough to refuse the name.
   * @throws FST_PROX_ADDRESS_REFUSED
   */
  async assertAllowed (addresses: readonly string[], target: DialTarget): Promise<void> {
    const own = addresses.find((address) => this.#isOwn(address, target.port))
    if (own !== undefined) throw new FST_PROX_ADDRESS_REFUSED(target.hostname, own, 'it is this proxy itself')
    const [refused] = await this.#decide(addresses, target)
    if (refused !== undefined) {
      throw new FST_PROX_ADDRESS_REFUSED(target.hostname, refused, 'the option allow does not let it through')
    }
  }

  /** Whether the server would be connected to itself: a request would go round until something gives in. */
  #isOwn (address: string, port: number): boolean {
    const candidates = [canonicalAddress(embeddedIPv4(address) ?? address)]
    return this.#own().some((listening) => {
      if (listening.port !== port) return false
      if (listening.address !== '0.0.0.0' && listening.address !== '::') {
        return candidates.includes(canonicalAddress(listening.address))
      }
      return candidates.some(isOfThisMachine)
    })
  }
}

/** @throws FST_PROX_INVALID_OPTION for anything that the option does not take */
export function assertAllowOption (allow: AllowAddresses): void {
  decisionOf(allow)
}

function decisionOf (allow: AllowAddresses): Decide {
  if (typeof allow === 'function') {
    return async (addresses, target) => await allow(addresses, target) === true ? [] : addresses
  }
  const rules = allow === 'public' ? [] : readRules(allow)
  return async (addresses, { hostname }) =>
    addresses.filter((address) => !isPublicAddress(address) && !rules.some((rule) => rule(address, hostname)))
}

/** Whether a server that listens on every address listens on this one. */
function isOfThisMachine (address: string): boolean {
  // 0.0.0.0 and :: connect to this machine where they connect at all.
  if (/^(?:127|0)\./.test(address) || /^0:0:0:0:0:0:0:[01]$/.test(address)) return true
  return Object.values(networkInterfaces()).flat().some((known) => canonicalAddress(known!.address) === address)
}

function readRules (allow: unknown): Rule[] {
  if (!Array.isArray(allow)) throw new FST_PROX_INVALID_OPTION('allow', TAKES, show(allow))
  const list = new AddressList()
  const names: Rule[] = []
  for (const entry of allow as unknown[]) {
    if (entry === 'public') continue
    if (typeof entry !== 'string' || !(list.add(entry) || addName(names, entry.toLowerCase()))) {
      throw new FST_PROX_INVALID_OPTION('allow', TAKES, show(entry))
    }
  }
  return [(address) => list.has(embeddedIPv4(address) ?? address), ...names]
}

function addName (names: Rule[], entry: string): boolean {
  if (!NAME.test(entry)) return false
  const name = entry.replace(/\.$/, '')
  if (name.startsWith('*.')) names.push((_address, hostname) => hostname.toLowerCase().endsWith(name.slice(1)))
  else names.push((_address, hostname) => hostname.toLowerCase() === name)
  return true
}
