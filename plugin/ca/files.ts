/** Reads and writes files of the user's with care: whole or not at all, and regular files alone. */
import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import type { Stats } from 'node:fs'
import { link, lstat, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { reasonOf } from '../errors'

export function hasCode (err: unknown, code: string): boolean {
  return (err as NodeJS.ErrnoException).code === code
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such directory',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of its path is not a directory',
  EPERM: 'permission is denied',
  EROFS: 'the file system is read-only'
}

/** Tells why a file cannot be read or written, in plain words where the system's are known. */
export function fileReason (err: unknown): string {
  const { code = '' } = err as NodeJS.ErrnoException
  return Object.hasOwn(REASONS, code) ? `${REASONS[code]} (${code})` : reasonOf(err)
}

/** A file as it was read. */
export interface ReadFile {
  readonly content: string
  readonly stats: Stats
}

/**
 * Reads a regular file; `undefined` when there is none.
 *
 * @throws when it is anything else: a FIFO would have the process wait for a writer, and a device may have no end.
 */
export async function readRegularFile (file: string): Promise<ReadFile | undefined> {
  // Without O_NONBLOCK, which regular files ignore, to open a FIFO is to wait.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((err: unknown): undefined => {
    if (!hasCode(err, 'ENOENT')) throw err
  })
  if (handle === undefined) return undefined
  try {
    const stats = await handle.stat()
    if (!stats.isFile() && !stats.isDirectory()) throw new Error('it is not a regular file')
    return { content: await handle.readFile('utf8'), stats }
  } finally {
    await handle.close()
  }
}

/**
 * Makes a directory and those above it, for their owner alone.
 *
 * Node's `recursive` does not return where a directory takes no entries, as below `/proc` (Node 20).
 *
 * @returns whether the directory was made; `false` when it was there.
 */
export async function makeDirectory (directory: string): Promise<boolean> {
  const make = async () => await mkdir(directory, { mode: 0o700 }).then(() => true)
  try {
    return await make()
  } catch (err) {
    if (hasCode(err, 'ENOENT') && dirname(directory) !== directory) {
      await makeDirectory(dirname(directory))
      return await make()
    }
    const there = await stat(directory).catch(() => undefined)
    if (there?.isDirectory() === true) return false
    throw err
  }
}

/** What stands at a path: links are not followed, as they would be lost in a replacement. */
export async function assertReplaceable (file: string): Promise<'nothing' | 'file'> {
  const stats = await lstat(file).catch((err: unknown): undefined => {
    if (!hasCode(err, 'ENOENT')) throw err
  })
  if (stats === undefined) return 'nothing'
  if (!stats.isFile()) throw new Error(stats.isDirectory() ? 'it is a directory' : 'it is not a regular file')
  return 'file'
}

/** A file that is written under another name, in the same directory. */
export interface WrittenAside {
  /** Gives it its name where that is free; `false` when it is taken. */
  add (): Promise<boolean>
  /** Gives it its name, in place of the file that has it. */
  replace (): Promise<void>
  /** Removes it, unless it has been given its name. */
  discard (): Promise<void>
}

/**
 * Writes a file aside, whole and synced, so that nobody ever reads half of it under its name.
 *
 * @param mode its permissions, of which the umask takes away.
 */
export async function writeAside (file: string, content: string | Buffer, mode: number): Promise<WrittenAside> {
  const written = join(dirname(file), `.${basename(file)}.${randomUUID()}`)
  const discard = async () => { await rm(written, { force: true }) }
  const handle = await open(written, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } catch (err) {
    await discard()
    throw err
  } finally {
    await handle.close()
  }
  return {
    async add () {
      try {
        await link(written, file)
        return true
      } catch (err) {
        if (hasCode(err, 'EEXIST')) return false
        throw err
      }
    },
    async replace () { await rename(written, file) },
    discard
  }
}
