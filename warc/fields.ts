/** Fields of responses that are replayed. */
import { isField } from '../net/field'
import { timeOf } from './capture'
import { valuesOf } from './record'
import { targetUri } from './records'

/** Of one connection, of the length and the part that was sent then, or of ways to a site that is not there. */
const NOT_REPLAYED = new Set([
  'alt-svc', 'connection', 'content-length', 'content-range', 'keep-alive', 'proxy-authenticate',
  'proxy-authentication-info', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'
])

/** Those that are right for a replay, of which Node takes the value. */
export function replayedFields (rawHeaders: readonly string[]): string[] {
  const kept: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i]!, rawHeaders[i + 1]!]
    if (!NOT_REPLAYED.has(name.toLowerCase()) && isField(name, value)) kept.push(name, value)
  }
  return kept
}

/**
 * Says what the answer is: the state of a URL at a time, of which others can be asked for there (RFC 7089 4.1.3).
 * @param url that was asked for
 */
export function mementoFields (url: string, timestamp: string): string[] {
  const original = targetUri(url).replace(/[<>"]/g, encodeURIComponent)
  return [
    'Memento-Datetime', new Date(timeOf(timestamp)).toUTCString(),
    'Link', `<${original}>; rel="original timegate"`,
    'Vary', 'Accept-Datetime'
  ]
}

export function without (rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_value, i) => rawHeaders[i - i % 2]!.toLowerCase() !== name)
}

/** Whether a client takes a content coding (RFC 9110 12.5.3). */
export function accepts (acceptEncoding: string | string[] | undefined, coding: string): boolean {
  const entries = String(acceptEncoding ?? '').toLowerCase().split(',').map((entry) => entry.trim())
  const weightOf = (name: string): number | undefined => {
    const entry = entries.find((each) => each.split(';')[0]!.trim() === name)
    return entry === undefined ? undefined : Number(/;\s*q=([\d.]+)/.exec(entry)?.[1] ?? 1)
  }
  const plain = coding.replace(/^x-/, '')
  return (weightOf(plain) ?? weightOf(`x-${plain}`) ?? weightOf('*') ?? 0) > 0
}

/** Fields by name in lower case; those of one name as a list. */
export function grouped (rawHeaders: readonly string[]): Map<string, string[]> {
  const names = new Set(rawHeaders.filter((_value, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  return new Map([...names].map((name) => [name, valuesOf(rawHeaders, name)]))
}
