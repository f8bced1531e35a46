/** The versions of undici that the tests run with, and a way to have the plugin load one of them, or none. */
import Module from 'node:module'
import type { Test } from 'tap'
import type * as undici from 'undici'

type Undici = typeof undici

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]

export interface UndiciVersion {
  readonly version: 7 | 8
  /** The package that is installed here under this name. */
  readonly name: string
  /** For tap. */
  readonly skip: string | false
  readonly load: () => Undici
}

export const UNDICI: readonly UndiciVersion[] = [
  { version: 7, name: 'undici', skip: false, load: () => require('undici') },
  {
    version: 8,
    name: 'undici-8',
    skip: (major < 22 || (major === 22 && minor < 19)) && 'undici 8 needs Node 22.19',
    load: () => require('undici-8')
  }
]

/** Until the test ends, `require('undici')` gives another package; with `null` it throws the error that it returns. */
export function replaceUndici (t: Test, name: string | null): Error {
  const missing = Object.assign(new Error("Cannot find module 'undici'"), { code: 'MODULE_NOT_FOUND' })
  const loader = Module as unknown as { _load: (...args: unknown[]) => unknown }
  const load = loader._load
  t.capture(loader, '_load', (asked: string, ...rest: unknown[]) => {
    if (asked !== 'undici') return load(asked, ...rest)
    if (name === null) throw missing
    return load(name, ...rest)
  })
  return missing
}
