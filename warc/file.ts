/** A WARC file that is read: plain, or a gzip member for each record. One that is compressed as a whole is unpacked. */
import { randomUUID } from 'node:crypto'
import { readSync } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, gunzipSync } from 'node:zlib'
import { isGzip } from './members'

const READ_SIZE = 64 * 1024

/** Bytes of a compressed record that is read at once, and of what it holds. */
const AT_ONCE = 32 * 1024
const AT_ONCE_UNPACKED = 256 * 1024

export class WarcFile {
  readonly path: string
  readonly handle: FileHandle
  readonly compressed: boolean

  private constructor (path: string, handle: FileHandle, compressed: boolean) {
    this.path = path
    this.handle = handle
    this.compressed = compressed
  }

  get name (): string {
    return basename(this.path)
  }

  static async open (path: string): Promise<WarcFile> {
    const handle = await open(path)
    try {
      const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0)
      return new WarcFile(path, handle, isGzip(buffer))
    } catch (err) {
      await handle.close()
      throw err
    }
  }

  /** Unpacks a file that is compressed as a whole, to one without a name. */
  async unpack (): Promise<WarcFile> {
    const unpacked = join(tmpdir(), `fastify-prox-${randomUUID()}.warc`)
    const handle = await open(unpacked, 'wx+', 0o600)
    try {
      await unlink(unpacked)
      for await (const chunk of this.#decompressed(0, null)) await handle.appendFile(chunk)
      return new WarcFile(this.path, handle, false)
    } catch (err) {
      await handle.close()
      throw err
    }
  }

  /**
   * What is there of a record, and behind it if the length is not known.
   * @param length bytes in the file
   */
  async read (offset: number, length: number | null): Promise<AsyncIterable<Buffer> | Iterable<Buffer>> {
    if (!this.compressed) return this.chunks(offset, length)
    if (length !== null && length <= AT_ONCE) {
      // As the index is searched: a thread for so little would cost more than all the rest of an answer.
      const member = Buffer.allocUnsafe(length)
      const content = unpackAtOnce(member.subarray(0, readSync(this.handle.fd, member, 0, length, offset)))
      if (content !== null) return [content]
    }
    return this.#decompressed(offset, length)
  }

  /** Bytes of the file. */
  async * chunks (offset: number, length: number | null): AsyncGenerator<Buffer> {
    const end = length === null ? Infinity : offset + length
    for (let position = offset; position < end;) {
      const size = Math.min(READ_SIZE, end - position)
      const { bytesRead, buffer } = await this.handle.read(Buffer.allocUnsafe(size), 0, size, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async close (): Promise<void> {
    await this.handle.close()
  }

  async * #decompressed (offset: number, length: number | null): AsyncGenerator<Buffer> {
    const decoder = createGunzip()
    const feeding = pipeline(this.chunks(offset, length), decoder).catch(() => {})
    try {
      for await (const chunk of decoder) yield chunk as Buffer
    } finally {
      decoder.destroy()
      await feeding
    }
  }
}

/** `null`: it is larger, or broken, which is told of when it is read piece by piece. */
function unpackAtOnce (member: Buffer): Buffer | null {
  try {
    return gunzipSync(member, { maxOutputLength: AT_ONCE_UNPACKED })
  } catch {
    return null
  }
}
