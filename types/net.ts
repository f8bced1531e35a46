/** Who may be connected to. */

/** What is to be connected to, as the client named it. */
export interface DialTarget {
  /** A name or an address; IPv6 without brackets. */
  readonly hostname: string
  readonly port: number
}

/**
 * Which addresses may be connected to. `'public'`: those of the Internet. A list adds to them: addresses, CIDR blocks,
 * host names, `'*.example.net'` for the names below one. A function is asked with every address that the name has and
 * decides alone: `true` lets all of them, anything else none. The proxy's own addresses are never let.
 */
export type AllowAddresses =
  | 'public'
  | readonly string[]
  | ((addresses: readonly string[], target: DialTarget) => boolean | Promise<boolean>)
