/** Writes the files that a command was asked for: all of them, or none. */
import { realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { assertReplaceable, fileReason, writeAside } from '../plugin/ca/files'
import type { WrittenAside } from '../plugin/ca/files'

/** A file that a command writes. */
export interface Result {
  readonly file: string
  readonly content: string | Buffer
  readonly mode: number
}

/** A file is there already, and nothing was said of replacing it. */
export class FileTakenError extends Error {
  constructor (file: string) {
    super(`${file} is there already; --force replaces it`)
  }
}

/** Names the file in the error of an action. */
export async function attempt<T> (file: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (err) {
    if (err instanceof FileTakenError) throw err
    throw new Error(`${file} cannot be written: ${fileReason(err)}`)
  }
}

/** @throws when the file may not be written: it is there and `force` is not set, or is no regular file. */
export async function assertWritable (file: string, force: boolean): Promise<void> {
  await attempt(file, async () => {
    if (await assertReplaceable(file) === 'file' && !force) throw new FileTakenError(file)
  })
}

/** Gives written files their names; where a name was taken meanwhile, those that went before are removed again. */
async function publish (files: ReadonlyArray<readonly [string, WrittenAside]>, force: boolean): Promise<void> {
  const added: string[] = []
  try {
    for (const [file, written] of files) {
      await attempt(file, async () => {
        if (force) return await written.replace()
        if (!await written.add()) throw new FileTakenError(file)
        added.push(file)
      })
    }
  } catch (err) {
    for (const file of added) await rm(file)
    throw err
  }
}

/** The path of a file in its real directory, however that was spelt. */
async function realPath (file: string): Promise<string> {
  const directory = dirname(resolve(file))
  return join(await realpath(directory).catch(() => directory), basename(file))
}

async function isSameFile (one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((file) => stat(file).catch(() => null)))
  return a != null && a.dev === b?.dev && a.ino === b?.ino
}

/**
 * Writes all of the files, or none when one may not be written.
 *
 * @param kept files that hold a CA, which no output may replace.
 */
export async function writeResults (results: Result[], force: boolean, kept: readonly string[]): Promise<void> {
  const paths = await Promise.all(results.map(({ file }) => realPath(file)))
  const twice = paths.find((path, i) => paths.indexOf(path) !== i)
  if (twice !== undefined) throw new Error(`${twice} cannot be both the file of the key and of the certificate`)
  for (const { file } of results) {
    for (const own of kept) {
      if (await isSameFile(file, own)) throw new Error(`${file} holds the certificate authority: choose another file`)
    }
    await assertWritable(file, force)
  }
  const files: Array<readonly [string, WrittenAside]> = []
  try {
    for (const { file, content, mode } of results) {
      files.push([file, await attempt(file, () => writeAside(file, content, mode))])
    }
    await publish(files, force)
  } finally {
    for (const [, written] of files) await written.discard()
  }
}
