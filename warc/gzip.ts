/** Compresses records, each to a gzip member of its own, so that one can be read without those before it. */
import type { FileHandle } from 'node:fs/promises'
import { promisify } from 'node:util'
import { createGzip, gzip, gzipSync } from 'node:zlib'
import type { Block } from './spool'

const compress = promisify(gzip)

/** What follows a record (ISO 28500 5.1). */
const END = Buffer.from('\r\n\r\n')

const READ_SIZE = 64 * 1024

type Content = Omit<Block, 'blockDigest' | 'payloadDigest'>

/** What is small needs no large tables, whose making would take longer than their use. */
const SMALL = { memLevel: 6 }

/** The member of a record that is small, and in memory. */
export function memberOf (head: Buffer, { head: messageHead, chunks }: Pick<Content, 'head' | 'chunks'>): Buffer {
  return gzipSync(Buffer.concat([head, messageHead, ...chunks, END]), SMALL)
}

/** The body of a record that is in a file. */
async function * partsOf (file: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let position = 0; position < size;) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(READ_SIZE), 0, READ_SIZE, position)
    if (bytesRead === 0) throw new Error('the file of a body has become shorter')
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/**
 * Writes a record at the end of a file.
 * @param head of the record
 * @returns how many bytes were written
 */
export async function writeMember (output: FileHandle, head: Buffer, block: Content): Promise<number> {
  const { file, size } = block
  if (file === null) {
    const member = await compress(Buffer.concat([head, block.head, ...block.chunks, END]))
    await output.appendFile(member)
    return member.length
  }
  const encoder = createGzip()
  const feed = async (): Promise<void> => {
    const write = (chunk: Buffer): void | Promise<void> => {
      if (!encoder.write(chunk)) return new Promise((resolve) => encoder.once('drain', resolve))
    }
    await write(Buffer.concat([head, block.head]))
    for await (const chunk of partsOf(file, size)) await write(chunk)
    encoder.end(END)
  }
  const feeding = feed().catch((err: unknown) => { encoder.destroy(err as Error) })
  let length = 0
  for await (const chunk of encoder) {
    await output.appendFile(chunk as Buffer)
    length += (chunk as Buffer).length
  }
  await feeding
  return length
}
