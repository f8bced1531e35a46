/** For a request that is not recorded: the entries that come nearest, and what differs in each. */
import type { HarNearest } from '../types/har'
import { byName } from './canonical'
import type { Compared } from './canonical'

const NEAREST = 3
/** Of the members of one body or query. */
const MOST_DIFFERENCES = 5
const LONGEST_VALUE = 60

export function nearest (all: readonly Compared[], asked: Compared): HarNearest[] {
  return all.map((recorded) => ({ recorded, distance: distance(recorded, asked) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, NEAREST)
    .map(({ recorded }) => ({
      method: recorded.method,
      url: recorded.location,
      differences: differencesOf(recorded, asked)
    }))
}

/** Without content, which would have to be read of every entry: URL first, then the method. */
function distance (recorded: Compared, asked: Compared): number {
  const [a, b] = [partsOf(recorded.location), partsOf(asked.location)]
  let sum = recorded.method === asked.method ? 0 : 3
  if (a.origin !== b.origin) sum += 20
  for (let i = 0; i < Math.max(a.path.length, b.path.length); i++) if (a.path[i] !== b.path[i]) sum += 4
  return sum + compare('query', byName(a.query), byName(b.query)).length
}

function partsOf (url: string): { origin: string, path: string[], query: string } {
  const [, origin, path, query] = /^([^:]*:\/\/[^/?]*)?([^?]*)\??(.*)$/s.exec(url)!
  return { origin: origin ?? '', path: path!.split('/'), query: query! }
}

function differencesOf (recorded: Compared, asked: Compared): string[] {
  const [a, b] = [partsOf(recorded.location), partsOf(asked.location)]
  const differences: string[] = []
  if (recorded.method !== asked.method) differences.push(`method: ${recorded.method}, not ${asked.method}`)
  if (a.origin !== b.origin) differences.push(`host: ${a.origin}, not ${b.origin}`)
  if (String(a.path) !== String(b.path)) differences.push(`path: ${a.path.join('/')}, not ${b.path.join('/')}`)
  differences.push(...compare('query', byName(a.query), byName(b.query)).slice(0, MOST_DIFFERENCES))
  differences.push(...bodyDifferences(recorded, asked))
  return differences.length === 0 ? ['a condition or range that differs, or the match of its own'] : differences
}

function bodyDifferences ({ body: recorded }: Compared, { body: asked }: Compared): string[] {
  if (recorded.key === asked.key) return []
  if (recorded.value === undefined || asked.value === undefined) {
    return [`body: ${recorded.size} bytes, not these ${asked.size} bytes`]
  }
  return compare('body', recorded.value, asked.value).slice(0, MOST_DIFFERENCES)
}

/** What differs in two values, member by member. */
function compare (path: string, recorded: unknown, asked: unknown): string[] {
  if (isTree(recorded) && isTree(asked) && Array.isArray(recorded) === Array.isArray(asked)) {
    const names = [...new Set([...Object.keys(recorded), ...Object.keys(asked)])]
    return names.flatMap((name) => compare(`${path}.${name}`, recorded[name], asked[name]))
  }
  return recorded === asked ? [] : [`${path}: ${show(recorded)}, not ${show(asked)}`]
}

function isTree (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function show (value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text
}
