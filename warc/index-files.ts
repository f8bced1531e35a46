/** `fastify-prox warc index`: writes the indexes of WARC files. */
import { rename, rm, writeFile } from 'node:fs/promises'
import { FST_PROX_WARC_NOT_WRITABLE, FST_PROX_WARC_UNREADABLE, reasonOf } from '../plugin/errors'
import { indexPath } from './archive'
import { WarcFile } from './file'
import { indexOf, sortLines } from './indexing'
import type { Indexed } from './indexing'
import { filesOf } from './paths'
import { CompressedAsWhole } from './scan'

/** An index that was written. */
export interface Written {
  readonly path: string
  readonly captures: number
}

/**
 * Writes an index beside each file, or one of all of them.
 * @param out the path of the one index
 * @param warn takes what is wrong with a file that is indexed all the same
 * @throws FST_PROX_WARC_UNREADABLE, FST_PROX_WARC_NOT_WRITABLE
 */
export async function writeIndexes (
  files: readonly string[], out: string | undefined, warn: (message: string) => void
): Promise<Written[]> {
  const written: Written[] = []
  const all: string[][] = []
  for (const path of filesOf(files)) {
    const { lines, torn } = await read(path)
    if (torn !== null) warn(`${path} is broken from byte ${torn} on; what is before is indexed`)
    if (out === undefined) written.push(await write(indexPath(path), lines))
    else all.push(lines)
  }
  if (out !== undefined) written.push(await write(out, sortLines(all.flat())))
  return written
}

async function read (path: string): Promise<Indexed> {
  let file: WarcFile | null = null
  try {
    file = await WarcFile.open(path)
    const indexed = await indexOf(file)
    if (indexed.records > 0) return indexed
  } catch (err) {
    const reason = err instanceof CompressedAsWhole
      ? 'it is compressed as a whole, so that nothing in it can be found; decompress it before'
      : reasonOf(err)
    throw new FST_PROX_WARC_UNREADABLE(path, reason)
  } finally {
    await file?.close()
  }
  throw new FST_PROX_WARC_UNREADABLE(path, 'it is not a WARC file')
}

/** Writes aside and renames: whoever replays sees the old index or the new one. */
async function write (path: string, lines: readonly string[]): Promise<Written> {
  const aside = `${path}.tmp`
  try {
    await writeFile(aside, lines.map((line) => `${line}\n`))
    await rename(aside, path)
  } catch (err) {
    await rm(aside, { force: true })
    throw new FST_PROX_WARC_NOT_WRITABLE(path, reasonOf(err))
  }
  return { path, captures: lines.length }
}
