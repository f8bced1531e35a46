/** Runs the examples as their users do: as programs of their own, which import the built package by its name. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import type { Dirent } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { plain } from '../support/plain-child'

const ROOT = resolve(__dirname, '../..')

export interface Example {
  readonly port: number
  readonly pid: number
  /** What it said when it had started. */
  readonly lines: string[]
  /** The directory that it runs in. */
  readonly directory: string
  /** The certificate of its CA, and its private key. */
  readonly ca: () => string
  /** Resolves with the exit code, once it has ended. */
  readonly stop: () => Promise<number | null>
}

export function examplePath (name: string): string {
  return join(ROOT, 'examples', name)
}

/** The variables that a program needs, and none that the test runner sets for its own. */
export function environment (more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { PATH, HOME, SystemRoot } = process.env
  return { PATH, HOME, SystemRoot, ...more }
}

/** The examples import what was built: it has to be there, and be newer than every source. */
export function assertBuilt (): void {
  const modified = (entry: Dirent): number => statSync(join(entry.parentPath, entry.name)).mtimeMs
  const newest = (directory: string): number => {
    const entries = readdirSync(join(ROOT, directory), { recursive: true, withFileTypes: true })
    return Math.max(...entries.filter((entry) => entry.isFile()).map(modified))
  }
  const built = statSync(join(ROOT, 'dist/plugin/index.js'), { throwIfNoEntry: false })
  if (built === undefined || built.mtimeMs < Math.max(newest('plugin'), newest('types'))) {
    throw new Error('dist is missing or older than its sources: npm run build')
  }
}

/**
 * Starts `examples/<name>/server.mjs` on a free port, in a directory of its own, and stops it when the test ends.
 * @param files what is in the directory
 */
export async function startExample (
  t: Test, name: string, more: Record<string, string> = {}, files: Record<string, string> = {}
): Promise<Example> {
  assertBuilt()
  const directory = t.testdir(files)
  const child = spawn(...plain(process.execPath, [join(examplePath(name), 'server.mjs')]), {
    cwd: directory,
    env: environment({ PORT: '0', ...more }),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exit = once(child, 'exit')
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => { errors += chunk })
  t.teardown(async () => {
    child.kill()
    await exit
    if (errors !== '') t.comment(errors)
  })

  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (lines.length === 3) break
  }
  const port = /^Proxy: {2}http:\/\/localhost:(\d+)/.exec(lines[0] ?? '')
  if (port === null) throw new Error(`${name} has not started: ${lines.join('\n')}${errors}`)
  return {
    port: Number(port[1]),
    pid: child.pid!,
    lines,
    directory,
    ca: () => readFileSync(join(directory, 'ca/fastify-prox-ca.pem'), 'utf8'),
    stop: async () => {
      child.kill()
      return (await exit)[0] as number | null
    }
  }
}
