/** Answers requests of the entries of a HAR file, without the network. */
import { createReadStream, statSync } from 'node:fs'
import { Readable } from 'node:stream'
import { isField } from '../net/field'
import type { ExchangeAnswer, ExchangeCall, ExchangeSocketAnswer } from '../types/forward'
import type { HarEntry, HarReplayOptions, HarWebSocketMessage } from '../types/har'
import { leftBehind } from './journal'
import { Library } from './library'
import type { Recorded } from './library'
import { readHar } from './load'
import { isLocked } from './lock'
import { Redactor } from './redact'
import { playMessages } from './messages'

/** Bytes of a request that is compared. */
const BODY_LIMIT = 64 * 1024 * 1024

/** Of one connection, or of content as it was encoded then. */
const NOT_REPLAYED = new Set([
  'connection', 'content-length', 'keep-alive', 'proxy-authenticate', 'proxy-connection', 'sec-websocket-accept',
  'sec-websocket-extensions', 'te', 'trailer', 'transfer-encoding', 'upgrade'
])

export type ReplayedCall = Pick<ExchangeCall, 'method' | 'url' | 'webSocket' | 'rawHeaders' | 'readBody'>

/** @throws FST_PROX_HAR_UNREADABLE */
export async function openLibrary (
  file: string, { match, redact }: HarReplayOptions, mayBeMissing = false
): Promise<Library> {
  const left = isLocked(file) ? null : await leftBehind(file)
  let entries: HarEntry[] = []
  if (left?.replaces !== true) {
    try {
      entries = await readHar(file)
    } catch (err) {
      const missing = (err as { cause?: NodeJS.ErrnoException }).cause?.code === 'ENOENT'
      if (!missing || !(mayBeMissing || left !== null)) throw err
    }
  }
  return new Library([...entries, ...left?.entries ?? []], { file, redactor: new Redactor(redact), match })
}

/** @throws FST_PROX_NOT_RECORDED */
export async function replay (
  library: Library, { method, url, webSocket, rawHeaders, readBody }: ReplayedCall
): Promise<ExchangeAnswer | ExchangeSocketAnswer> {
  const body = await readBody(BODY_LIMIT)
  const recorded = library.take({ method, url, webSocket, rawHeaders, body })
  const { response, _webSocketMessages } = recorded.entry
  return webSocket && response.status === 101
    ? socketOf(recorded, _webSocketMessages ?? [])
    : answerOf(recorded, method)
}

function socketOf ({ entry }: Recorded, messages: readonly HarWebSocketMessage[]): ExchangeSocketAnswer {
  const chosen = entry.response.headers.find(({ name }) => name.toLowerCase() === 'sec-websocket-protocol')
  return { protocol: chosen?.value ?? '', socket: (client) => playMessages(client, messages) }
}

function answerOf (recorded: Recorded, method: string): ExchangeAnswer {
  const { status, statusText, content } = recorded.entry.response
  const { body, size } = bodyOf(recorded)
  const rawHeaders = fieldsOf(recorded)
  const length = method === 'HEAD' ? lengthOf(recorded) : String(size)
  if (length !== null && status !== 204 && status !== 304) rawHeaders.push('Content-Length', length)
  // Others write the type there alone.
  const typed = rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-type')
  if (!typed && size > 0 && content.mimeType && content.mimeType !== 'x-unknown' && isField('a', content.mimeType)) {
    rawHeaders.push('Content-Type', content.mimeType)
  }
  return { statusCode: status, statusMessage: isReason(statusText) ? statusText : '', rawHeaders, body }
}

/** Of a response to HEAD: that of the content which GET would have, unless it was encoded. */
function lengthOf ({ entry }: Recorded): string | null {
  const value = (name: string): string | undefined =>
    entry.response.headers.find((field) => field.name.toLowerCase() === name)?.value
  const length = value('content-length')
  return length !== undefined && /^\d+$/.test(length) && value('content-encoding') === undefined ? length : null
}

function bodyOf ({ entry, contentFile }: Recorded): { body: Readable, size: number } {
  if (contentFile !== null) {
    return { body: Readable.from(partsOf(contentFile), { objectMode: false }), size: statSync(contentFile).size }
  }
  const { text, encoding } = entry.response.content ?? {}
  const bytes = Buffer.from(text ?? '', encoding === 'base64' ? 'base64' : 'utf8')
  return { body: Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false }), size: bytes.length }
}

/** Opens the file when it is read, since the client may have left. */
async function * partsOf (file: string): AsyncGenerator<Buffer> {
  yield * createReadStream(file)
}

/** The fields of an entry that are right for its content as it is replayed: decoded, and with its length. */
function fieldsOf ({ entry }: Recorded): string[] {
  const { headers, content } = entry.response
  const fields: string[] = []
  for (const { name, value } of headers) {
    const key = name.toLowerCase()
    if (key[0] === ':' || NOT_REPLAYED.has(key)) continue
    if (key === 'content-encoding' && content?._encoded !== true) continue
    // Browsers write repeated fields as lines of one.
    for (const line of value.split('\n')) if (isField(name, line)) fields.push(name, line)
  }
  return fields
}

function isReason (text: unknown): text is string {
  return typeof text === 'string' && !/[^\t\x20-\x7e\x80-\xff]/.test(text)
}
