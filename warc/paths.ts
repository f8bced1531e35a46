/** Finds the files that paths, folders and patterns name. */
import { readdirSync, statSync } from 'node:fs'
import { join, parse, resolve, sep } from 'node:path'
import { FST_PROX_WARC_UNREADABLE, reasonOf } from '../plugin/errors'

/** Those of a recorder that was killed have `.open` behind their names, and are as good as others. */
const IN_FOLDER = /\.warc(?:\.gz)?(?:\.open)?$/

/**
 * Absolute paths, once each, in the order of their names.
 * @throws FST_PROX_WARC_UNREADABLE where there is none
 */
export function filesOf (patterns: string | readonly string[]): string[] {
  const all = [patterns].flat().flatMap((pattern) => {
    const found = /[*?]/.test(pattern) ? matching(pattern) : named(pattern as string)
    if (found.length === 0) throw new FST_PROX_WARC_UNREADABLE(pattern as string, 'there is no such file')
    return found
  })
  return [...new Set(all)].sort()
}

function named (path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [resolve(path)]
    return readdirSync(path).filter((name) => IN_FOLDER.test(name)).map((name) => resolve(path, name)).filter(isFile)
  } catch (err) {
    throw Object.assign(new FST_PROX_WARC_UNREADABLE(path, reasonOf(err)), { cause: err })
  }
}

/** What a pattern matches, name by name from the top. */
function matching (pattern: string): string[] {
  const path = resolve(pattern)
  const { root } = parse(path)
  let found = [root]
  for (const part of path.slice(root.length).split(sep)) {
    if (!/[*?]/.test(part)) found = found.map((folder) => join(folder, part))
    else found = found.flatMap((folder) => namesIn(folder).filter(matcher(part)).map((name) => join(folder, name)))
  }
  return found.filter(isFile)
}

function isFile (path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function namesIn (folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Not a folder, or gone.
    return []
  }
}

function matcher (part: string): (name: string) => boolean {
  const source = part.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  const expression = new RegExp(`^${source}$`, 's')
  return (name) => expression.test(name) && (name[0] !== '.' || part[0] === '.')
}
