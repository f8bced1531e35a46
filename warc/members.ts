/** Goes through a gzip file member by member (RFC 1952), and tells where each one is. */
import type { FileHandle } from 'node:fs/promises'
import { createInflateRaw } from 'node:zlib'
import type { InflateRaw } from 'node:zlib'

const READ_SIZE = 64 * 1024

/** Bytes of the check and the length behind the content. */
const TRAILER = 8

/** Flags of the header. */
const [HAS_CHECK, HAS_EXTRA, HAS_NAME, HAS_COMMENT] = [2, 4, 8, 16]

export class Member {
  readonly offset: number
  readonly #handle: FileHandle
  readonly #begin: number
  #end: number | null = null

  constructor (handle: FileHandle, offset: number, begin: number) {
    this.#handle = handle
    this.offset = offset
    this.#begin = begin
  }

  /** Where the next one is; known when the content has been read. */
  get end (): number {
    return this.#end!
  }

  /** The content; it fails when the file ends before the member does. */
  async * content (): AsyncGenerator<Buffer> {
    const inflate = createInflateRaw()
    const over = new Promise<void>((resolve) => inflate.once('end', resolve).once('close', resolve))
    const feeding = this.#feed(inflate, over).catch((err: unknown) => { inflate.destroy(err as Error) })
    try {
      for await (const chunk of inflate) yield chunk as Buffer
      this.#end = this.#begin + inflate.bytesWritten + TRAILER
    } finally {
      inflate.destroy()
      await feeding
    }
  }

  async #feed (inflate: InflateRaw, over: Promise<void>): Promise<void> {
    for (let position = this.#begin; !inflate.readableEnded && !inflate.destroyed;) {
      const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(READ_SIZE), 0, READ_SIZE, position)
      position += bytesRead
      if (bytesRead === 0) {
        inflate.end()
        return
      }
      // Of what comes behind the member, the decoder never says that it has it.
      await Promise.race([over, new Promise((resolve) => inflate.write(buffer.subarray(0, bytesRead), resolve))])
    }
  }
}

/** The member at an offset; `null`: there is none. */
export async function memberAt (handle: FileHandle, offset: number): Promise<Member | null> {
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(READ_SIZE), 0, READ_SIZE, offset)
  const header = headerLength(buffer.subarray(0, bytesRead))
  return header === null ? null : new Member(handle, offset, offset + header)
}

export function isGzip (bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}

function headerLength (bytes: Buffer): number | null {
  if (bytes.length < 10 || !isGzip(bytes) || bytes[2] !== 8) return null
  const flags = bytes[3]!
  let at = 10
  if (flags & HAS_EXTRA) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
  for (const flag of [HAS_NAME, HAS_COMMENT]) {
    if (!(flags & flag)) continue
    const end = bytes.indexOf(0, at)
    if (end === -1) return null
    at = end + 1
  }
  if (flags & HAS_CHECK) at += 2
  return at < bytes.length ? at : null
}
