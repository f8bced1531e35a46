/** Opens the records of captures: the head of the response, and its content, which may be in another record. */
import { ByteReader } from './bytes'
import type { Archive, Located } from './archive'
import { REVISIT, timestampOf } from './capture'
import { readRecordHead, readResponseHead, valuesOf } from './record'
import type { RecordHead, ResponseHead } from './record'
import { keysOf } from './surt'

/** A response out of an archive. */
export interface Archived {
  /** `null`: the record has none; it is a file, with a type. */
  readonly head: ResponseHead | null
  readonly contentType: string | null
  /** The content, where it is in memory already. */
  readonly bytes: Buffer | null
  /** Bytes of the content; `null`: in chunks, and not known. */
  readonly size: number | null
  /** The content, less transfer coding; once. */
  readonly content: () => AsyncGenerator<Buffer>
  /** Closes what nobody has read. */
  readonly close: () => Promise<void>
}

interface Opened {
  readonly reader: ByteReader
  readonly record: RecordHead
  readonly head: ResponseHead | null
  /** Bytes of the block behind the head. */
  readonly rest: number
}

/** Bytes of the line before a chunk. */
const CHUNK_LINE = 4096

/** `null`: the record is not there, or its content is nowhere in the archive. */
export async function openCapture (archive: Archive, capture: Located): Promise<Archived | null> {
  const opened = await openRecord(capture)
  if (opened === null) return null
  if (opened.record.type !== 'revisit') return archived(opened, opened.head)
  await opened.reader.close()
  const original = originalOf(archive, capture, opened.record)
  const content = original === null ? null : await openRecord(original)
  if (content === null) return null
  return archived(content, opened.head ?? content.head)
}

async function openRecord ({ file, offset, length }: Located): Promise<Opened | null> {
  const reader = new ByteReader(await file.read(offset, length))
  try {
    const record = await reader.skipBlank() ? await readRecordHead(reader) : null
    if (record !== null) {
      const isFile = record.type === 'resource'
      const head = isFile || record.length === 0 ? null : await readResponseHead(reader, record.length)
      if (head !== null || isFile || record.type === 'revisit') {
        return { reader, record, head, rest: record.length - (head?.size ?? 0) }
      }
    }
  } catch {
    // Broken, as an index that is not of this file has it.
  }
  await reader.close()
  return null
}

function archived ({ reader, record, head, rest }: Opened, shown: ResponseHead | null): Archived {
  const codings = valuesOf(head?.rawHeaders ?? [], 'transfer-encoding')
  const chunked = codings.some((coding) => /chunked/i.test(coding))
  const bytes = chunked ? null : reader.takeNow(rest)
  return {
    head: shown,
    contentType: record.fields.get('content-type') ?? null,
    bytes,
    size: chunked ? null : rest,
    content: async function * () {
      try {
        if (bytes !== null) yield bytes
        else if (chunked) yield * withoutChunks(reader, rest)
        else yield * exactly(reader, rest)
      } finally {
        await reader.close()
      }
    },
    close: async () => await reader.close()
  }
}

/** The record whose content a revisit has: the one that it names, or another one of that content. */
function originalOf (archive: Archive, { url, digest }: Located, { fields }: RecordHead): Located | null {
  const uri = (fields.get('warc-refers-to-target-uri') ?? url).replace(/^<(.*)>$/, '$1')
  const date = fields.get('warc-refers-to-date')
  const timestamp = date === undefined ? null : timestampOf(date)
  const found = keysOf(uri).flatMap((key) => [...archive.find(`${key} `)])
    .filter((other) => other.mime !== REVISIT)
    .filter((other) => digest === null || other.digest === null || sameDigest(digest, other))
  return found.find((other) => other.timestamp === timestamp && other.url === uri) ??
    found.find((other) => digest !== null && sameDigest(digest, other)) ?? null
}

/** Indexes of others have digests without the name of the algorithm. */
function sameDigest (digest: string, other: Located): boolean {
  const plain = (text: string): string => text.replace(/^sha1:/i, '').toUpperCase()
  return plain(digest) === plain(other.digest ?? '')
}

/** Ends the connection to the client, rather than waiting for what does not come. */
async function * exactly (reader: ByteReader, length: number): AsyncGenerator<Buffer> {
  let left = length
  for await (const part of reader.take(length)) {
    left -= part.length
    yield part
  }
  if (left > 0) throw new Error('the record ends before its content')
}

/** Content in chunks (RFC 9112 7.1); some archives have the fields of such content, and the content without chunks. */
async function * withoutChunks (reader: ByteReader, length: number): AsyncGenerator<Buffer> {
  const end = reader.position + length
  const first = await reader.peekLine(CHUNK_LINE)
  if (first === null || !isChunkLine(first)) return yield * reader.take(length)
  while (reader.position < end) {
    const line = await reader.line(CHUNK_LINE)
    const size = line !== null && isChunkLine(line) ? parseInt(line, 16) : 0
    // What is behind the last chunk, or broken, is no content.
    if (size === 0) return
    yield * reader.take(Math.min(size, end - reader.position))
    await reader.line(CHUNK_LINE)
  }
}

function isChunkLine (line: string): boolean {
  return /^[0-9a-f]{1,12}\s*(?:;|$)/i.test(line)
}
