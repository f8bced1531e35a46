/** Connections to other hosts: who may be connected to, and by which upstream proxy. */
import type { LookupAddress, LookupOptions } from 'node:dns'

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

/**
 * An upstream proxy: the URL of one, `http:`, `https:`, `socks5:` (names resolved here) or `socks5h:` (by the proxy);
 * `'env'` for what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say; a function that chooses by target, where nothing is
 * a direct connection; or `false` for none.
 */
export type UpstreamProxy<Target = DialTarget> =
  | string
  | URL
  | false
  | ((target: Target) => string | URL | null | undefined | Promise<string | URL | null | undefined>)

/** Resolves a name in place of `dns.lookup`; called with `all: true`. */
export type Lookup = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (err: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void
) => void
