/**
 * The WARC files of a recorder, one after the other. A file has `.open` behind its name until it is finished, and holds
 * whole records only: what cannot be written is taken away again.
 */
import { randomBytes } from 'node:crypto'
import { ftruncateSync, writeSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { FST_PROX_WARC_NOT_WRITABLE, reasonOf } from '../plugin/errors'
import { startDigest, digestOf } from './digest'
import { memberOf, writeMember } from './gzip'
import { newRecordId, recordHead } from './records'
import type { Fields } from './records'
import type { Block } from './spool'

export interface WriterOptions {
  readonly directory: string
  readonly prefix: string
  /** Bytes of a file. */
  readonly rotate: number
  /** Fields of the warcinfo record. */
  readonly info: Fields
}

export interface WarcRecord {
  readonly type: string
  readonly fields: Fields
  readonly block: Block
  /** Whether the body is left out: that of a `revisit` record. */
  readonly headOnly?: boolean
}

interface OpenFile {
  readonly path: string
  readonly handle: FileHandle
  readonly infoId: string
  size: number
  /** Records beside the warcinfo. */
  records: number
}

const NONE: readonly Buffer[] = []

export class Writer {
  readonly #options: WriterOptions
  #file: OpenFile | null = null
  #serial = 0

  private constructor (options: WriterOptions) {
    this.#options = options
  }

  /** @throws FST_PROX_WARC_NOT_WRITABLE */
  static async start (options: WriterOptions): Promise<Writer> {
    const writer = new Writer(options)
    try {
      await mkdir(options.directory, { recursive: true })
      writer.#file = await writer.#begin()
    } catch (err) {
      throw notWritable(options.directory, err)
    }
    return writer
  }

  /** Appends records that belong together: all of them, or none. One call at a time. */
  async append (records: readonly WarcRecord[]): Promise<void> {
    if (this.#file !== null && this.#file.size >= this.#options.rotate) await this.finish()
    const file = (this.#file ??= await this.#begin())
    const before = file.size
    try {
      for (const record of records) {
        file.size += await writeMember(file.handle, headOf(record, file.infoId), contentOf(record))
      }
      file.records += records.length
    } catch (err) {
      await this.#takeBack(file, before)
      throw err
    }
  }

  /**
   * The same at once, for records that are small: those of an exchange that has ended are not lost any more.
   * @returns whether there is a file that takes them
   */
  appendNow (records: readonly WarcRecord[]): boolean {
    const file = this.#file
    if (file === null || file.size >= this.#options.rotate) return false
    const members = Buffer.concat(records.map((record) => memberOf(headOf(record, file.infoId), contentOf(record))))
    const { fd } = file.handle
    try {
      for (let written = 0; written < members.length;) written += writeSync(fd, members, written)
    } catch (err) {
      this.#takeBackNow(file)
      throw err
    }
    file.size += members.length
    file.records += records.length
    return true
  }

  /** Finishes the file: it gets its name, or is removed if nothing was recorded. */
  async finish (): Promise<void> {
    const file = this.#file
    if (file === null) return
    this.#file = null
    try {
      await file.handle.sync()
      await file.handle.close()
      if (file.records === 0) await rm(`${file.path}.open`)
      else await rename(`${file.path}.open`, file.path)
    } catch (err) {
      throw notWritable(file.path, err)
    }
  }

  async #begin (): Promise<OpenFile> {
    const { directory, prefix, info } = this.#options
    // Several recorders may write to one folder, of several machines too.
    const time = new Date().toISOString().replace(/\D/g, '')
    const serial = String(this.#serial++).padStart(5, '0')
    const name = `${prefix}-${time}-${serial}-${randomBytes(4).toString('hex')}.warc.gz`
    const path = join(directory, name)
    const handle = await open(`${path}.open`, 'ax', 0o644)
    const infoId = newRecordId()
    try {
      return { path, handle, infoId, size: await writeInfo(handle, infoId, name, info), records: 0 }
    } catch (err) {
      await handle.close()
      await rm(`${path}.open`, { force: true })
      throw err
    }
  }

  /** Takes away the part of a record that could be written; a file of which that fails is left as it is. */
  async #takeBack (file: OpenFile, size: number): Promise<void> {
    try {
      await file.handle.truncate(size)
      file.size = size
    } catch {
      this.#leave(file)
    }
  }

  #takeBackNow (file: OpenFile): void {
    try {
      ftruncateSync(file.handle.fd, file.size)
    } catch {
      this.#leave(file)
    }
  }

  #leave ({ handle }: OpenFile): void {
    this.#file = null
    handle.close().catch(() => {})
  }
}

function headOf ({ type, fields, block, headOnly = false }: WarcRecord, infoId: string): Buffer {
  const { head, size, blockDigest, payloadDigest } = block
  return recordHead(type, head.length + (headOnly ? 0 : size), [
    ...fields,
    ['WARC-Warcinfo-ID', infoId],
    ['WARC-Block-Digest', headOnly ? digestOf(startDigest().update(head)) : blockDigest],
    ['WARC-Payload-Digest', payloadDigest]
  ])
}

function contentOf ({ block, headOnly = false }: WarcRecord): Omit<Block, 'blockDigest' | 'payloadDigest'> {
  return headOnly ? { head: block.head, chunks: NONE, file: null, size: 0 } : block
}

async function writeInfo (output: FileHandle, id: string, filename: string, info: Fields): Promise<number> {
  const text = Buffer.from(info.map(([name, value]) => `${name}: ${value}\r\n`).join(''))
  const head = recordHead('warcinfo', text.length, [
    ['WARC-Record-ID', id],
    ['WARC-Date', new Date().toISOString()],
    ['WARC-Filename', filename],
    ['WARC-Block-Digest', digestOf(startDigest().update(text))],
    ['Content-Type', 'application/warc-fields']
  ])
  return await writeMember(output, head, { head: text, chunks: NONE, file: null, size: 0 })
}

export function notWritable (where: string, err: unknown): Error {
  return Object.assign(new FST_PROX_WARC_NOT_WRITABLE(where, reasonOf(err)), { cause: err })
}
