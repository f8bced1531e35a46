/** Reads HAR files by whomever: what is no HAR is refused with the reason, before anything is answered of it. */
import { existsSync, realpathSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import type { HarEntry } from '../types/har'
import { FST_PROX_HAR_UNREADABLE, reasonOf } from '../plugin/errors'
import { isObject } from '../plugin/option-rules'

export interface HarLog {
  readonly entries: HarEntry[]
}

/**
 * The log of a HAR file; entries are checked as far as replaying needs it.
 * @throws FST_PROX_HAR_UNREADABLE
 */
export function parseHar (file: string, text: string): HarLog {
  let har: unknown
  try {
    har = JSON.parse(text.replace(/^\ufeff/, ''))
  } catch (err) {
    throw new FST_PROX_HAR_UNREADABLE(file, `it is not JSON (${reasonOf(err)})`)
  }
  const log = (har as { log?: unknown } | null)?.log
  const entries = isObject(log) ? (log as Partial<HarLog>).entries : undefined
  if (!Array.isArray(entries)) throw new FST_PROX_HAR_UNREADABLE(file, 'it has no log.entries')
  for (const [i, entry] of entries.entries()) {
    const wrong = faultOf(entry)
    if (wrong !== null) throw new FST_PROX_HAR_UNREADABLE(file, `${wrong} of entry ${i} is missing or wrong`)
  }
  return log as HarLog
}

/** @throws FST_PROX_HAR_UNREADABLE */
export async function readHar (file: string): Promise<HarEntry[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (err) {
    throw Object.assign(new FST_PROX_HAR_UNREADABLE(file, reasonOf(err)), { cause: err })
  }
  return parseHar(file, text).entries
}

/**
 * The path of a `_file`, which is in the folder of the HAR file or below, links followed.
 * @throws FST_PROX_HAR_UNREADABLE
 */
export function besidePath (har: string, name: string): string {
  const folder = dirname(resolve(har))
  const path = resolve(folder, name)
  if (!isInside(folder, path)) throw new FST_PROX_HAR_UNREADABLE(har, 'a _file of it is outside its folder')
  if (!existsSync(path)) throw new FST_PROX_HAR_UNREADABLE(har, `its _file ${name} is missing`)
  if (!isInside(realpathSync(folder), realpathSync(path))) {
    throw new FST_PROX_HAR_UNREADABLE(har, `its _file ${name} is a link out of its folder`)
  }
  return path
}

function isInside (folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

const isText = (value: unknown): boolean => typeof value === 'string'
const isOptionalText = (value: unknown): boolean => value === undefined || value === null || isText(value)
const isPairs = (value: unknown): boolean => Array.isArray(value) &&
  value.every((pair) => isObject(pair) && isText((pair as HarPair).name) && isText((pair as HarPair).value))

interface HarPair { name?: unknown, value?: unknown }

/** What is wrong with an entry; `null`: nothing. */
function faultOf (entry: unknown): string | null {
  const { request, response, _webSocketMessages } = (entry ?? {}) as Partial<HarEntry>
  if (!isText(request?.method)) return 'request.method'
  if (!isText(request?.url)) return 'request.url'
  if (!isPairs(request?.headers)) return 'request.headers'
  if (!Number.isInteger(response?.status)) return 'response.status'
  if (!isPairs(response?.headers)) return 'response.headers'
  for (const [name, content] of [['postData', request?.postData], ['content', response?.content]] as const) {
    const { text, _file } = content ?? {}
    if (!isOptionalText(text) || !isOptionalText(_file)) return name
  }
  const isMessages = _webSocketMessages === undefined || (Array.isArray(_webSocketMessages) &&
    _webSocketMessages.every((message: unknown) => isObject(message) && isText((message as { data?: unknown }).data)))
  return isMessages ? null : '_webSocketMessages'
}
