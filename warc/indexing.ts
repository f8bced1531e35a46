/** Makes the index of a WARC file. */
import { digestOf, startDigest } from './digest'
import { ByteReader } from './bytes'
import { entryOf, idsOf, lineOf } from './capture'
import type { Entry } from './capture'
import type { WarcFile } from './file'
import { readRecordHead } from './record'
import { scan } from './scan'
import type { Scanned } from './scan'

export interface Indexed {
  /** In the order of their bytes, without line ends. */
  readonly lines: string[]
  /** The byte from which on the file is broken; `null`: it is not. */
  readonly torn: number | null
  /** Records of any kind. */
  readonly records: number
}

/** @throws CompressedAsWhole */
export async function indexOf (file: WarcFile): Promise<Indexed> {
  const entries: Entry[] = []
  const requests = new Map<string, { method: string, digest: string | null }>()
  let torn: number | null = null
  let records = 0
  for await (const record of scan(file, (offset) => { torn = offset })) {
    records++
    const entry = entryOf(record, file.name)
    if (entry !== null) entries.push(entry)
    if (record.type !== 'request') continue
    const request = await requestOf(file, record)
    if (request.method !== 'GET') for (const id of idsOf(record)) requests.set(id, request)
  }
  const lines = entries.map((entry) => lineOf(entry, requests))
  return { lines: sortLines(lines), torn, records }
}

/** Sorts as `LC_ALL=C sort` does, which is how indexes are searched. */
export function sortLines (lines: readonly string[]): string[] {
  // Keys are ASCII, as a rule; what is not, differs in the order of UTF-16.
  const ascii = lines.every((line) => /^[\x20-\x7e]*$/.test(line))
  return [...lines].sort(ascii ? compareText : (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

function compareText (a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Method, and digest of the content, of the request in a record. */
async function requestOf (
  file: WarcFile, { offset, size, fields }: Scanned
): Promise<{ method: string, digest: string | null }> {
  const reader = new ByteReader(await file.read(offset, size))
  try {
    const head = (await readRecordHead(reader))!
    const begin = reader.position
    const text = await reader.head(head.length)
    const method = text === null ? undefined : /^[!#$%&'*+.^_`|~\w-]+(?= )/.exec(text.toString('latin1'))?.[0]
    const length = head.length - (reader.position - begin)
    if (method === undefined || method === 'GET') return { method: 'GET', digest: null }
    const given = fields.get('warc-payload-digest')
    if (length === 0 || given !== undefined) return { method, digest: length === 0 ? null : given! }
    const hash = startDigest()
    for await (const part of reader.take(length)) hash.update(part)
    return { method, digest: digestOf(hash) }
  } finally {
    await reader.close()
  }
}
