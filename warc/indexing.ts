/** Makes the index of a WARC file. */
import { entryOf, idsOf, lineOf } from './capture'
import type { Entry } from './capture'
import type { WarcFile } from './file'
import { scan } from './scan'

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
    const { request } = record
    if (request !== null && request.method !== 'GET') for (const id of idsOf(record)) requests.set(id, request)
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
