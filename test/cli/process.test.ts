/** The command as a process: arguments in, output and exit code out. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { compileTo } from '../ca/compiled'

interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function execute (file: string, ...args: string[]): Promise<Outcome> {
  return await new Promise((resolve) => {
    const child = execFile(file, args, (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }))
  })
}

t.test('compiled: done, failed, wrong arguments', async (t) => {
  const directory = t.testdir()
  compileTo(directory)
  const command = join(directory, 'cli', 'fastify-prox.js')
  // As npm does with what package.json lists as "bin".
  chmodSync(command, 0o755)
  const file = join(directory, 'ca.pem')
  t.match(await execute(command, 'ca', 'create', '--file', file, '--name', 'Example'), { code: 0, stdout: /^name {7}Example\n/, stderr: '' })
  t.match(await execute(command, 'ca', 'create', '--file', file), { code: 1, stdout: '', stderr: /^fastify-prox: .* is there already; --force replaces it\n$/ })
  t.match(await execute(command, 'ca', 'frobnicate'), { code: 2, stdout: '', stderr: /^fastify-prox: There is no command "frobnicate"\./ })
})

t.test('from its source', async (t) => {
  // With the loaders of this process, so that its coverage counts.
  const source = join(__dirname, '..', '..', 'cli', 'fastify-prox.ts')
  t.match(await execute(process.execPath, ...process.execArgv, source, '--version'), { code: 0, stdout: /^\d+\.\d+\.\d+/, stderr: '' })
})

t.test('output that nobody reads to its end is no error', async (t) => {
  const directory = t.testdir()
  compileTo(directory)
  const command = join(directory, 'cli', 'fastify-prox.js')
  const file = join(directory, 'ca.pem')
  await execute(process.execPath, command, 'ca', 'create', '--file', file)
  const child = spawn(process.execPath, [command, 'ca', 'show', '--file', file])
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (chunk) => { stderr += chunk })
  t.strictSame(await once(child, 'close'), [0, null])
  t.equal(stderr, '')
  const full = 'exec "$0" "$@" > /dev/full'
  t.match(await execute('bash', '-c', full, process.execPath, command, 'ca', 'show', '--file', file), {
    code: 1, stderr: /^fastify-prox: ENOSPC: no space left on device/
  })
})
