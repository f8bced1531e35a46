/**
 * The command as a process of its own, compiled: loading TypeScript would take most of the time of each.
 *
 *   const command = startCli(t, ['start', app, '--port', '0'])
 *   await command.printed(/Proxy/)          standard output, as soon as it matches
 *   command.child.kill('SIGTERM')
 *   const { code, stdout, stderr } = await command.ended
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { compileTo } from '../support/compiled'
import { plain } from '../support/plain-child'

const TAP = join(__dirname, '..', '..', '.tap')

/** Compiles the command; the process of the tests removes it when it ends. */
function compileCommand (): string {
  mkdirSync(TAP, { recursive: true })
  const directory = mkdtempSync(join(TAP, 'command-'))
  process.on('exit', () => rmSync(directory, { recursive: true }))
  compileTo(directory)
  return join(directory, 'cli', 'fastify-prox.js')
}

const COMMAND = compileCommand()

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Cli {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
  printed (pattern: RegExp): Promise<RegExpExecArray>
}

const NO_PROXY = { http_proxy: '', https_proxy: '', HTTP_PROXY: '', HTTPS_PROXY: '' }

export function startCli (t: Test, args: string[], env: NodeJS.ProcessEnv = {}): Cli {
  const child = spawn(...plain(process.execPath, [COMMAND, ...args], env.NODE_OPTIONS), {
    cwd: t.testdirName, env: { ...process.env, ...NO_PROXY, ...env }, stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const written = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => { written.stdout += text })
  child.stderr.setEncoding('utf8').on('data', (text: string) => { written.stderr += text })
  return {
    child,
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, ...written })),
    printed: async (pattern) => {
      for (;;) {
        const match = pattern.exec(written.stdout)
        if (match !== null) return match
        await once(child.stdout, 'data')
      }
    }
  }
}

export async function cli (t: Test, args: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return await startCli(t, args, env).ended
}
