/** The fields of requests that are recorded: those that have sites answer with what can be replayed to everybody. */
import { narrowAcceptEncoding } from '../net/codings'

/** Codings that every Node can decode, for clients that do not. */
const REPLAYED = new Set(['gzip', 'x-gzip', 'deflate', 'br'])

/** Those that have a site answer with 304 to what the client has, and the archive does not. */
const CONDITIONAL = new Set(['if-none-match', 'if-modified-since'])

/**
 * The fields without the conditions of caches, so that the content comes, and with the content codings that can be
 * replayed. A condition on a range takes the range with it. Of other methods than GET and HEAD, conditions stay.
 */
export function recordable (method: string, rawHeaders: readonly string[]): string[] {
  const isRead = method === 'GET' || method === 'HEAD'
  const onRange = isRead && rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'if-range')
  const kept: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const key = rawHeaders[i]!.toLowerCase()
    if (isRead && CONDITIONAL.has(key)) continue
    if (onRange && (key === 'range' || key === 'if-range')) continue
    const value = rawHeaders[i + 1]!
    const isCoding = key === 'accept-encoding'
    kept.push(rawHeaders[i]!, isCoding ? narrowAcceptEncoding(value, (coding) => REPLAYED.has(coding)) : value)
  }
  return kept
}
