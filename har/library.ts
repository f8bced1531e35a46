/** The entries of a HAR file, found by requests. */
import { readFileSync } from 'node:fs'
import type { HarEntry, HarMatch, HarMatchRequest, HarNearest, HarPostData } from '../types/har'
import { FST_PROX_NOT_RECORDED } from '../plugin/errors'
import { canonicalBody, canonicalUrl } from './canonical'
import type { CanonicalBody, Compared } from './canonical'
import { besidePath } from './load'
import { nearest } from './nearest'
import type { Redactor } from './redact'

export interface LibraryOptions {
  /** Of the HAR file, which names of files beside it are relative to. */
  readonly file: string
  readonly redactor: Redactor
  readonly match?: HarMatch
}

/** An entry that can be replayed. */
export class Recorded implements Compared {
  readonly entry: HarEntry
  readonly method: string
  readonly location: string
  readonly fields: ReadonlyMap<string, string>
  /** The file with the content of the response. */
  readonly contentFile: string | null
  served = false
  readonly #postFile: string | null
  readonly #redactor: Redactor
  #body: CanonicalBody | undefined

  /** @throws FST_PROX_HAR_UNREADABLE */
  constructor (entry: HarEntry, { file, redactor }: LibraryOptions) {
    const { request, response } = entry
    this.entry = entry
    this.method = request.method.toUpperCase()
    this.location = canonicalUrl(redactor.url(request.url))
    this.fields = fieldsOf(request.headers.map(({ name, value }) => [name, redactor.field(name, value)]))
    const name = response.content?._file
    this.contentFile = typeof name === 'string' ? besidePath(file, name) : null
    const posted = request.postData?._file
    this.#postFile = typeof posted === 'string' ? besidePath(file, posted) : null
    this.#redactor = redactor
  }

  get body (): CanonicalBody {
    return (this.#body ??= this.#canonicalBody())
  }

  #canonicalBody (): CanonicalBody {
    const { postData } = this.entry.request
    const bytes = this.#postFile === null ? bytesOf(postData) : readFileSync(this.#postFile)
    return canonicalBody(this.fields.get('content-type') ?? postData?.mimeType ?? '', bytes, this.#redactor)
  }
}

/** Fields that differ from one time to the next, or that say nothing of what is asked for. */
const NOT_COMPARED = new Set([
  'connection', 'content-length', 'date', 'expect', 'host', 'keep-alive', 'max-forwards', 'proxy-connection',
  'sec-websocket-extensions', 'sec-websocket-key', 'sec-websocket-version', 'te', 'traceparent', 'tracestate',
  'transfer-encoding', 'upgrade', 'via', 'x-correlation-id', 'x-request-id'
])

export class Library {
  readonly #options: LibraryOptions
  readonly #all: Recorded[]
  readonly #byRequest = new Map<string, Recorded[]>()

  /** @throws FST_PROX_HAR_UNREADABLE */
  constructor (entries: readonly HarEntry[], options: LibraryOptions) {
    this.#options = options
    this.#all = entries.filter(isWhole).map((entry) => new Recorded(entry, options))
    for (const recorded of this.#all) {
      const key = keyOf(recorded)
      const others = this.#byRequest.get(key)
      if (others === undefined) this.#byRequest.set(key, [recorded])
      else others.push(recorded)
    }
  }

  /**
   * The entry that answers a request. It counts as served from now on.
   * @throws FST_PROX_NOT_RECORDED
   */
  take (
    { method, url, rawHeaders, body, webSocket }:
    { method: string, url: string, rawHeaders: readonly string[], body: Buffer, webSocket: boolean }
  ): Recorded {
    const { redactor, file } = this.#options
    const fields = fieldsOf(redactor.fields(rawHeaders))
    const scheme = webSocket ? url.replace(/^http/i, 'ws') : url
    const asked = {
      method: method.toUpperCase(),
      location: canonicalUrl(redactor.url(scheme)),
      fields,
      body: canonicalBody(fields.get('content-type') ?? '', body, redactor)
    }
    const candidates = this.#candidates(asked, body, webSocket)
    if (candidates.length === 0) throw this.#missing(asked, file)
    const found = inTurn(leastDifferent(candidates, fields))
    found.served = true
    return found
  }

  #candidates (asked: Compared & Pick<Recorded, 'fields'>, body: Buffer, webSocket: boolean): Recorded[] {
    const { match } = this.#options
    const { method, location: url, fields } = asked
    const sameRequest = this.#byRequest.get(keyOf(asked)) ?? []
    const byDefault = sameRequest.filter((recorded) => answers(recorded, asked))
    if (match === undefined) return byDefault
    const request: HarMatchRequest = { method, url, headers: Object.fromEntries(fields), body, webSocket }
    return this.#all.filter((recorded) => match(recorded.entry, request) ?? byDefault.includes(recorded))
  }

  #missing (asked: Compared, file: string): Error {
    const near: HarNearest[] = nearest(this.#all, asked)
    const lines = near.map(({ method, url, differences }, i) => {
      return `\n${i + 1}. ${method} ${url}\n${differences.map((difference) => `   ${difference}`).join('\n')}`
    })
    const text = near.length === 0 ? ', which has no entries' : `. Nearest, with what is recorded:${lines.join('')}`
    return Object.assign(new FST_PROX_NOT_RECORDED(`${asked.method} ${asked.location}`, file, text), { nearest: near })
  }
}

/** What failed or was cut short answers nothing. */
function isWhole ({ request, response }: HarEntry): boolean {
  if (response._error !== undefined) return false
  return (response.status >= 200 && response.status <= 999) || (response.status === 101 && /^wss?:/.test(request.url))
}

function keyOf ({ method, location }: Compared): string {
  return `${method} ${location}`
}

/** Of the same method and URL, whether an entry answers: by content, and by what its status depends on. */
function answers ({ entry, fields, body }: Recorded, asked: Compared & Pick<Recorded, 'fields'>): boolean {
  if (body.key !== asked.body.key) return false
  const { status } = entry.response
  if (status === 304) return asked.fields.has('if-none-match') || asked.fields.has('if-modified-since')
  return status !== 206 || fields.get('range') === asked.fields.get('range')
}

function leastDifferent (candidates: readonly Recorded[], fields: ReadonlyMap<string, string>): Recorded[] {
  const counted = candidates.map((recorded) => ({ recorded, count: differences(recorded.fields, fields) }))
  const least = Math.min(...counted.map(({ count }) => count))
  return counted.filter(({ count }) => count === least).map(({ recorded }) => recorded)
}

function differences (some: ReadonlyMap<string, string>, others: ReadonlyMap<string, string>): number {
  let count = 0
  for (const [name, value] of some) if (others.get(name) !== value) count++
  for (const name of others.keys()) if (!some.has(name)) count++
  return count
}

/** In the order recorded; the last one repeats. */
function inTurn (candidates: readonly Recorded[]): Recorded {
  return candidates.find(({ served }) => !served) ?? candidates.at(-1)!
}

function fieldsOf (pairs: ReadonlyArray<readonly [string, string]>): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of pairs) {
    const key = name.toLowerCase()
    if (key[0] === ':' || NOT_COMPARED.has(key)) continue
    const before = fields.get(key)
    fields.set(key, before === undefined ? value : `${before}, ${value}`)
  }
  return fields
}

/** The content of a request as others record it too: as text, or as the parameters of a form. */
function bytesOf (postData: HarPostData | undefined): Buffer {
  const { text, params, encoding } = postData ?? {}
  if (typeof text === 'string') return Buffer.from(text, encoding === 'base64' ? 'base64' : 'utf8')
  const pairs = (params ?? []).map(({ name, value = '' }) => [name, value] as [string, string])
  return Buffer.from(String(new URLSearchParams(pairs)))
}
