/** WARC files that are replayed, and the indexes by which captures are found in them. */
import { existsSync, statSync } from 'node:fs'
import { basename } from 'node:path'
import { FST_PROX_WARC_UNREADABLE, reasonOf } from '../plugin/errors'
import { parseLine } from './capture'
import type { Capture } from './capture'
import { Cdxj } from './cdxj'
import { WarcFile } from './file'
import { indexOf } from './indexing'
import { filesOf } from './paths'
import { CompressedAsWhole } from './scan'

/** A capture, and the file that it is in. */
export interface Located extends Capture {
  readonly file: WarcFile
}

interface Part {
  readonly index: Cdxj
  /** The file that a name in the index stands for. */
  readonly fileOf: (name: string) => WarcFile | undefined
}

export interface ArchiveOptions {
  readonly files: string | readonly string[]
  readonly index?: string | readonly string[]
  /** Takes what is wrong with a file that is replayed all the same. */
  readonly warn: (message: string) => void
}

/** The index beside a WARC file. */
export function indexPath (path: string): string {
  return `${path}.cdxj`
}

export class Archive {
  readonly #files = new Map<string, WarcFile>()
  readonly #parts: Part[] = []

  /** @throws FST_PROX_WARC_UNREADABLE */
  static async open ({ files, index, warn }: ArchiveOptions): Promise<Archive> {
    const archive = new Archive()
    try {
      for (const path of filesOf(files)) {
        if (index === undefined) await archive.#add(path, warn)
        else await archive.#openNamed(path)
      }
      for (const path of index === undefined ? [] : filesOf(index)) {
        archive.#parts.push({ index: openIndex(path), fileOf: (name) => archive.#files.get(basename(name)) })
      }
    } catch (err) {
      await archive.close()
      throw err
    }
    return archive
  }

  /** Captures whose lines begin with a text. @param from a line at or before the first of them */
  * find (prefix: string, from?: string): Generator<Located> {
    for (const { index, fileOf } of this.#parts) {
      for (const line of index.startingWith(prefix, from)) {
        const capture = parseLine(line)
        const file = capture === null ? undefined : fileOf(capture.filename)
        if (capture !== null && file !== undefined) yield { ...capture, file }
      }
    }
  }

  async close (): Promise<void> {
    for (const { index } of this.#parts.splice(0)) index.close()
    for (const file of this.#files.values()) await file.close()
    this.#files.clear()
  }

  /** Opens a file with the index beside it, or makes one. */
  async #add (path: string, warn: ArchiveOptions['warn']): Promise<void> {
    let file = await openFile(path)
    this.#files.set(path, file)
    const beside = indexPath(path)
    if (isNewer(beside, path)) {
      this.#parts.push({ index: openIndex(beside), fileOf: () => file })
      return
    }
    let indexed
    try {
      indexed = await indexOf(file)
    } catch (err) {
      if (!(err instanceof CompressedAsWhole)) throw unreadable(path, err)
      const unpacked = await file.unpack().catch((err: unknown) => { throw unreadable(path, err) })
      await file.close()
      file = unpacked
      this.#files.set(path, file)
      indexed = await indexOf(file)
    }
    const { lines, torn, records } = indexed
    if (records === 0) throw new FST_PROX_WARC_UNREADABLE(path, 'it is not a WARC file')
    if (torn !== null) warn(`${path} is broken from byte ${torn} on; what is before is replayed`)
    this.#parts.push({ index: Cdxj.of(lines.map((line) => `${line}\n`).join('')), fileOf: () => file })
  }

  /** Opens a file that is in an index by its name. */
  async #openNamed (path: string): Promise<void> {
    const name = basename(path)
    if (this.#files.has(name)) throw new FST_PROX_WARC_UNREADABLE(path, 'another file has the same name')
    this.#files.set(name, await openFile(path))
  }
}

async function openFile (path: string): Promise<WarcFile> {
  try {
    return await WarcFile.open(path)
  } catch (err) {
    throw unreadable(path, err)
  }
}

function openIndex (path: string): Cdxj {
  try {
    return Cdxj.open(path)
  } catch (err) {
    throw unreadable(path, err)
  }
}

/** Whether an index was written after the file that it is of. */
function isNewer (index: string, path: string): boolean {
  return existsSync(index) && statSync(index).mtimeMs >= statSync(path).mtimeMs
}

function unreadable (path: string, err: unknown): Error {
  return Object.assign(new FST_PROX_WARC_UNREADABLE(path, reasonOf(err)), { cause: err })
}
