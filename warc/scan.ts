/** Goes through the records of a WARC file from its beginning, and tells where each one is. */
import { ByteReader } from './bytes'
import { digestOf, startDigest } from './digest'
import type { WarcFile } from './file'
import { Members } from './members'
import { readRecordHead, readResponseHead } from './record'
import type { RecordHead, ResponseHead } from './record'

export interface Scanned extends RecordHead {
  readonly offset: number
  /** Bytes in the file. */
  readonly size: number
  /** The response of HTTP in the record. */
  readonly http: ResponseHead | null
  /** The request of HTTP in the record: its method, and the digest of its content, if it has any. */
  readonly request: { readonly method: string, readonly digest: string | null } | null
}

/** A file whose gzip members are not its records: some hold several, or a part of one. */
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
  const members = new Members(file.handle)
  for (let offset = 0; offset < fileSize;) {
    const member = await members.at(offset)
    if (member === null) return torn(offset)
    const reader = new ByteReader(member.content())
    let record: Omit<Scanned, 'offset' | 'size'> | null = null
    try {
      record = await readRecord(reader)
      const another = record === null ? member.end < fileSize : await reader.skipBlank()
      if (another) throw new CompressedAsWhole(file.path)
    } catch (err) {
      if (err instanceof CompressedAsWhole) throw err
      record = null
    } finally {
      await reader.close()
    }
    if (record === null || member.end > fileSize) return torn(offset)
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
  const isHttp = /^application\/http\b/i.test(head.fields.get('content-type') ?? '')
  const hasResponse = isHttp && (head.type === 'response' || head.type === 'revisit')
  const http = hasResponse ? await readResponseHead(reader, head.length) : null
  const request = isHttp && head.type === 'request' ? await readRequest(reader, head) : null
  const rest = head.length - (reader.position - begin)
  return await reader.skip(rest) ? { ...head, http, request } : null
}

async function readRequest (reader: ByteReader, { fields, length }: RecordHead): Promise<Scanned['request']> {
  const begin = reader.position
  const bytes = await reader.head(length)
  const method = bytes === null ? undefined : /^[!#$%&'*+.^_`|~\w-]+(?= )/.exec(bytes.toString('latin1'))?.[0]
  if (method === undefined) return null
  const rest = length - (reader.position - begin)
  const given = fields.get('warc-payload-digest')
  if (rest === 0 || given !== undefined) return { method, digest: rest === 0 ? null : given! }
  const hash = startDigest()
  for await (const part of reader.take(rest)) hash.update(part)
  return { method, digest: digestOf(hash) }
}
