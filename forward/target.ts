/** Takes a URL apart without changing a byte of its path: the URL class would resolve `..` and encode `|`. */
import type { ForwardTarget } from '../types/forward'
import { FST_PROX_INVALID_URL } from '../plugin/errors'

export interface Target extends ForwardTarget {
  /** `host`, or `host:port` when the port is not the scheme's own, as `Host` and `:authority` have it. */
  readonly authority: string
  /** Path and query, byte for byte; never empty. */
  readonly path: string
}

const PARTS = /^(https?|wss?):\/\/([^/?#]+)([^#]*)/i

/** What no request line can hold: controls, the space, and what is not Latin-1. */
// eslint-disable-next-line no-control-regex
const UNWRITABLE = /[\x00-\x20\x7f]|[^\x00-\xff]/

/** @throws FST_PROX_INVALID_URL */
export function parseTarget (url: string): Target {
  const match = PARTS.exec(url)
  if (match === null || match[2]!.includes('@') || !URL.canParse(`http://${match[2]}`)) {
    throw new FST_PROX_INVALID_URL(url)
  }
  const scheme = /^(?:https|wss)$/i.test(match[1]!) ? 'https' : 'http'
  const { host, hostname, port } = new URL(`${scheme}://${match[2]}`)
  const rest = match[3]!
  const path = rest[0] === '/' ? rest : `/${rest}`
  if (UNWRITABLE.test(path)) throw new FST_PROX_INVALID_URL(url)
  return {
    url,
    scheme,
    hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (scheme === 'https' ? 443 : 80) : Number(port),
    authority: host,
    path
  }
}
