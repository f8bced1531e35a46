/** `--watch`: has Node run this command again whenever a file that it has loaded changes. */
import { runProgram } from './child'

/** Resolves with the exit code when the watching ends: by a signal. */
export async function runWatched (args: readonly string[], tell: (message: string) => void): Promise<number> {
  const end = args.indexOf('--')
  const isOwn = (arg: string, i: number): boolean => arg === '--watch' && (end === -1 || i < end)
  const again = args.filter((arg, i) => !isOwn(arg, i))
  const script = process.argv[1]!
  return await runProgram([process.execPath, '--watch', ...process.execArgv, script, ...again], process.env, tell)
}
