/** Compiles the package's sources, for child processes that should not spend seconds on loading TypeScript. */
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { transformSync } from '@swc/core'

const ROOT = join(__dirname, '..', '..')

const FOLDERS = ['plugin', 'net', 'forward', 'har', 'warc', 'types', 'cli']

/**
 * Compiles the package to below a directory, where each file has the path that it has in the repository.
 * The directory has to be in the repository too, for the sake of dependencies.
 */
export function compileTo (directory: string): void {
  const sources = FOLDERS.flatMap((folder) => readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => join(folder, String(name))))
  for (const source of sources.filter((name) => name.endsWith('.cjs'))) {
    cpSync(join(ROOT, source), join(directory, source))
  }
  for (const source of sources.filter((name) => name.endsWith('.ts'))) {
    const { code } = transformSync(readFileSync(join(ROOT, source), 'utf8'), {
      swcrc: false,
      jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
      module: { type: 'commonjs', ignoreDynamic: true }
    })
    const target = join(directory, source.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, code)
  }
}
