/** Runs another program as if in place of this one: its input and output, its signals, its exit code. */
import { constants } from 'node:os'
import spawn from 'cross-spawn'

/** Those of the shell: not executable, not found, and what a signal ended. */
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127
const SIGNALLED = 128

const SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']

/** What a terminal sends to every program that runs in it. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT', 'SIGHUP'])

/** The exit code of a process that a signal ended. */
export function exitCodeOf (signal: NodeJS.Signals): number {
  return SIGNALLED + constants.signals[signal]
}

/**
 * Resolves with the exit code when the program has ended; 126 or 127 when it cannot be run.
 * @param tell takes why it cannot
 */
export async function runProgram (
  [program, ...args]: readonly string[], env: NodeJS.ProcessEnv, tell: (message: string) => void
): Promise<number> {
  return await new Promise((resolve) => {
    const child = spawn(program!, args, { stdio: 'inherit', env })
    const handlers = SIGNALS.map((signal) => {
      // The program in the same terminal has it already.
      const handler = (): void => { if (!(process.stdin.isTTY && FROM_TERMINAL.has(signal))) child.kill(signal) }
      process.on(signal, handler)
      return [signal, handler] as const
    })
    const end = (exitCode: number): void => {
      for (const [signal, handler] of handlers) process.off(signal, handler)
      resolve(exitCode)
    }
    child.on('error', (err: NodeJS.ErrnoException) => {
      tell(`${program} cannot be run: ${err.code}`)
      end(err.code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE)
    })
    child.on('exit', (code, signal) => end(code ?? exitCodeOf(signal!)))
  })
}
