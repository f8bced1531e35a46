/** The command as a process: arguments in, output and exit code out. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../cli/program'
import { compileTo } from '../support/compiled'
import { plain } from '../support/plain-child'

/** Runs the source with the loaders of this process, so that its coverage counts; Node 26 deprecates theirs. */
const FROM_SOURCE = ['--no-deprecation', ...process.execArgv, join(__dirname, '..', '..', 'cli', 'fastify-prox.ts')]

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function execute (file: string, ...args: string[]): Promise<Outcome> {
  return await new Promise((resolve) => {
    const child = execFile(...plain(file, args), (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
  })
}

t.test('the compiled command exits with 0, 1 and 2 for done, failed and wrong arguments', async (t) => {
  const directory = t.testdir()
  compileTo(directory)
  const command = join(directory, 'cli', 'fastify-prox.js')
  // As npm does with what package.json lists as "bin".
  chmodSync(command, 0o755)
  const file = join(directory, 'ca.pem')
  t.match(
    await execute(command, 'ca', 'create', '--file', file, '--name', 'Example'),
    { code: 0, stdout: /^name {7}Example\n/, stderr: '' }
  )
  t.match(
    await execute(command, 'ca', 'create', '--file', file),
    { code: 1, stdout: '', stderr: /^fastify-prox: .* is there already; --force replaces it\n$/ }
  )
  t.match(
    await execute(command, 'ca', 'frobnicate'),
    { code: 2, stdout: '', stderr: /^fastify-prox: There is no command "frobnicate"\./ }
  )
})

t.test('the command runs from its source', async (t) => {
  t.match(
    await execute(process.execPath, ...FROM_SOURCE, '--version'),
    { code: 0, stdout: /^\d+\.\d+\.\d+/, stderr: '' }
  )
})

t.test('a reader that leaves early is no error, and a full disk is one', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  const args = [...FROM_SOURCE, 'ca', 'show', '--file', file]
  await run(['ca', 'create', '--file', file], { stdout: { write () {} }, stderr: { write: t.fail } })
  const outcome = async (child: ChildProcess): Promise<unknown[]> => {
    let stderr = ''
    child.stderr!.on('data', (chunk) => { stderr += chunk })
    const [code] = await once(child, 'close')
    return [code, stderr]
  }
  const left = spawn(...plain(process.execPath, args))
  left.stdout.destroy()
  t.strictSame(await outcome(left), [0, ''])
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const failing = spawn(...plain(process.execPath, args), { stdio: ['ignore', full, 'pipe'] })
  t.match(await outcome(failing), [1, /^fastify-prox: ENOSPC: no space left on device/])
})
