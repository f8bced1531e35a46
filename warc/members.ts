/** Goes through a gzip file member by member (RFC 1952), and tells where each one is. */
import type { FileHandle } from 'node:fs/promises'
import { createInflateRaw, inflateRawSync } from 'node:zlib'
import type { InflateRaw } from 'node:zlib'

const READ_SIZE = 64 * 1024

/** Bytes that are read ahead, for members that are small. */
const WINDOW = 1024 * 1024

/** Bytes of a member that is decompressed at once, and of its content. */
const AT_ONCE = 64 * 1024
const AT_ONCE_CONTENT = 1024 * 1024

/** Bytes of the check and the length behind the content. */
const TRAILER = 8

/** Flags of the header. */
const [HAS_CHECK, HAS_EXTRA, HAS_NAME, HAS_COMMENT] = [2, 4, 8, 16]

/** The content of a member, and where the next member is, which is known when the content has been read. */
export interface Member {
  content (): AsyncIterable<Buffer> | Iterable<Buffer>
  readonly end: number
}

/** One that is decompressed piece by piece. */
class LargeMember implements Member {
  readonly #handle: FileHandle
  readonly #begin: number
  #end: number | null = null

  constructor (handle: FileHandle, begin: number) {
    this.#handle = handle
    this.#begin = begin
  }

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

/** Finds the members of a file, one after the other. */
export class Members {
  readonly #handle: FileHandle
  #window = Buffer.alloc(0)
  #start = 0
  #atEnd = false

  constructor (handle: FileHandle) {
    this.#handle = handle
  }

  /** The member at an offset; `null`: there is none. */
  async at (offset: number): Promise<Member | null> {
    const read = this.#start + this.#window.length
    if (offset + AT_ONCE > read && !(this.#atEnd && offset < read)) {
      const { bytesRead, buffer } = await this.#handle.read(Buffer.allocUnsafe(WINDOW), 0, WINDOW, offset)
      this.#window = buffer.subarray(0, bytesRead)
      this.#start = offset
      this.#atEnd = bytesRead < WINDOW
    }
    const bytes = this.#window.subarray(offset - this.#start)
    const header = headerLength(bytes)
    if (header === null) return null
    return smallMember(bytes.subarray(header, header + AT_ONCE), offset + header) ??
      new LargeMember(this.#handle, offset + header)
  }
}

/** `null`: it is larger, or broken, which is told of when it is read piece by piece. */
function smallMember (bytes: Buffer, begin: number): Member | null {
  try {
    // With `info`, it tells how much of what it was given it has taken.
    const { buffer, engine } = inflateRawSync(bytes, { info: true, maxOutputLength: AT_ONCE_CONTENT }) as unknown as
      { buffer: Buffer, engine: InflateRaw }
    return { content: () => [buffer], end: begin + engine.bytesWritten + TRAILER }
  } catch {
    return null
  }
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
