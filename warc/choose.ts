/** Chooses the captures that answer a request, the best one first. */
import type { Archive, Located } from './archive'
import { timeOf } from './capture'
import { isWhole, parseContentRange } from './range'
import type { Range } from './range'
import { keysOf, splitQuery, surt, surtOfHost } from './surt'

export interface Asked {
  readonly method: string
  readonly url: string
  /** Milliseconds since the epoch; `null`: the latest. */
  readonly date: number | null
  readonly range: Range | { readonly suffix: number } | null
  /** Of the content of the request, if it has any. */
  readonly digest: () => Promise<string | null>
}

/** Captures of a path that are looked through for one whose query differs a little. */
const FUZZY_MAX = 10_000

/** Parameters that are there to get past caches, by name and value. */
const CACHE_BUSTER = /^(?:_|__|cb|cache-?bust(?:er)?|no-?cache|uncache|rnd|rand|random|ts|timestamp)=[\d.]*$/

/**
 * Those of the very URL; or else of one that differs in scheme, case, `www.` or the order of its query; or else of one
 * that differs in cache-busters.
 */
export async function choose (archive: Archive, asked: Asked): Promise<Located[]> {
  const byKey = keysOf(asked.url).flatMap((key) => [...archive.find(`${key} `)])
  const wanted = canonical(asked.url)
  const exact = await suited(byKey.filter(({ url }) => canonical(url) === wanted), asked)
  if (exact.length > 0) return exact
  const others = await suited(byKey.filter(({ status }) => !isRedirect(status)), asked)
  return others.length > 0 ? others : await suited(fuzzy(archive, asked.url), asked)
}

/** A few captures of the same host: those whose URLs come next, then its first ones. */
export function othersOfHost (archive: Archive, url: string, limit: number): Located[] {
  const [host, key] = [surtOfHost(url), surt(url)]
  const found = new Map<string, Located>()
  for (const from of [key, host]) {
    const most = from === key ? limit / 2 : limit
    for (const capture of archive.find(host, from)) {
      if (found.size >= most) break
      if (!found.has(capture.url)) found.set(capture.url, capture)
    }
  }
  return [...found.values()].sort((a, b) => a.url < b.url ? -1 : 1)
}

function fuzzy (archive: Archive, url: string): Located[] {
  const [path, query] = splitQuery(surt(url))
  const wanted = withoutCacheBusters(query)
  const found: Located[] = []
  let seen = 0
  for (const prefix of [`${path}?`, `${path} `]) {
    for (const capture of archive.find(prefix)) {
      if (++seen > FUZZY_MAX) return found
      const same = withoutCacheBusters(splitQuery(surt(capture.url))[1]) === wanted
      if (same && !isRedirect(capture.status)) found.push(capture)
    }
  }
  return found
}

function withoutCacheBusters (query: string): string {
  return query.slice(1).split('&').filter((pair) => pair !== '' && !CACHE_BUSTER.test(pair)).join('&')
}

/** Those that can answer, in the order of preference. */
async function suited (captures: readonly Located[], asked: Asked): Promise<Located[]> {
  const { method, range, date } = asked
  const own = captures.filter((capture) => capture.method === method && capture.status !== 304)
  // HEAD is answered with the head of GET, too.
  const byMethod = own.length === 0 && method === 'HEAD'
    ? captures.filter((capture) => capture.method === 'GET' && capture.status !== 304)
    : own
  const fitting = byMethod.filter((capture) => rankOf(capture, range) !== null)
  if (fitting.length === 0) return []
  const digest = fitting.some(({ requestDigest }) => requestDigest !== null) ? await asked.digest() : null
  const score = (capture: Located): [number, number, number] => [
    capture.requestDigest === digest ? 0 : 1,
    rankOf(capture, range)!,
    date === null ? -timeOf(capture.timestamp) : Math.abs(timeOf(capture.timestamp) - date)
  ]
  const scored = fitting.map((capture) => ({ capture, score: score(capture) }))
  // Of those of one second, the latest, which is the one behind the others.
  const compare = (a: typeof scored[number], b: typeof scored[number]): number =>
    a.score.map((each, i) => each - b.score[i]!).find((difference) => difference !== 0) ??
      b.capture.offset - a.capture.offset
  return scored.sort(compare).map(({ capture }) => capture)
}

/** How well a capture answers: whole ones first. `null`: not at all, as it has another part of the content. */
function rankOf ({ status, truncated, contentRange }: Located, range: Asked['range']): number | null {
  const part = status === 206 ? parseContentRange(contentRange) : null
  if (status === 206 && (part === null || !isWhole(part))) {
    if (range === null || part === null) return null
    const covers = 'suffix' in range
      ? part.total !== null && part.last + 1 === part.total && part.first <= part.total - range.suffix
      : part.first <= range.first && range.first <= part.last
    return covers ? 2 : null
  }
  return truncated ? 1 : 0
}

function isRedirect (status: number | null): boolean {
  return status !== null && status >= 300 && status < 400
}

/** A URL as the URL class writes it. */
function canonical (url: string): string {
  return URL.canParse(url) ? new URL(url).href : url
}
