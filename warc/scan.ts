/** Goes through the records of a WARC file from its beginning, and tells where each one is. */
import { ByteReader } from './bytes'
import type { WarcFile } from './file'
import { memberAt } from './members'
import { readRecordHead, readResponseHead } from './record'
import type { RecordHead, ResponseHead } from './record'

export interface Scanned extends RecordHead {
  readonly offset: number
  /** Bytes in the file. */
  readonly size: number
  /** The response of HTTP in the record. */
  readonly http: ResponseHead | null
}

/** A file that has several records in one gzip member. */
export class CompressedAsWhole extends Error {}

/**
 * The records of a file, as far as they are whole.
 * @param torn is told of the byte from which on there is no whole record, if there is one
 * @throws CompressedAsWhole
 */
export async function * scan (file: WarcFile, torn: (offset: number) => void): AsyncGenerator<Scanned> {
  yield * (file.compressed ? scanMembers(file, torn) : scanPlain(file, torn))
}

async function * scanMembers (file: WarcFile, torn: (offset: number) => void): AsyncGenerator<Scanned> {
  const { size: fileSize } = await file.handle.stat()
  for (let offset = 0; offset < fileSize;) {
    const member = await memberAt(file.handle, offset)
    if (member === null) return torn(offset)
    const reader = new ByteReader(member.content())
    let record: Omit<Scanned, 'offset' | 'size'> | null = null
    try {
      record = await readRecord(reader)
      if (record !== null && await reader.skipBlank()) throw new CompressedAsWhole(file.path)
    } catch (err) {
      if (err instanceof CompressedAsWhole) throw err
      record = null
    } finally {
      await reader.close()
    }
    if (record === null) return torn(offset)
    yield { ...record, offset, size: member.end - offset }
    offset = member.end
  }
}

async function * scanPlain (file: WarcFile, torn: (offset: number) => void): AsyncGenerator<Scanned> {
  const reader = new ByteReader(file.chunks(0, null))
  while (await reader.skipBlank()) {
    const offset = reader.position
    const record = await readRecord(reader)
    if (record === null) return torn(offset)
    yield { ...record, offset, size: reader.position - offset }
  }
}

/** `null`: there is no record, or it is not whole. */
async function readRecord (reader: ByteReader): Promise<Omit<Scanned, 'offset' | 'size'> | null> {
  if (!await reader.skipBlank()) return null
  const head = await readRecordHead(reader)
  if (head === null) return null
  const begin = reader.position
  const http = hasResponse(head) ? await readResponseHead(reader, head.length) : null
  const rest = head.length - (reader.position - begin)
  return await reader.skip(rest) ? { ...head, http } : null
}

function hasResponse ({ type, fields }: RecordHead): boolean {
  return (type === 'response' || type === 'revisit') && /^application\/http\b/i.test(fields.get('content-type') ?? '')
}
