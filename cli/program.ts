/** The command `fastify-prox`: its arguments, its output, its exit code. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { isPemText } from '../plugin/errors'
import { caCommand } from './ca'
import type { Output } from './output'
import { runCommand } from './run'
import { startCommand } from './start'
import { warcCommand } from './warc'

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

function version (): string {
  // By its own name, since this file is one directory deeper when it is compiled.
  return (JSON.parse(readFileSync(require.resolve('fastify-prox/package.json'), 'utf8')) as { version: string }).version
}

const UNKNOWN = /^unknown (option|command) '([^']*)'\n?(?:\(Did you mean (.*)\?\))?/

/** Commander's message of wrong usage in the words and the form of all other errors. */
function usageError (text: string): string {
  const message = text.trimEnd().replace(/^error: /, '')
  // An argument that is a private key ended here by mistake.
  if (isPemText(message)) return 'fastify-prox: an argument is a PEM text, where the path of its file belongs\n'
  const [, kind, name, meant] = UNKNOWN.exec(message) ?? []
  if (name === undefined) return `fastify-prox: ${message}\n`
  return `fastify-prox: There is no ${kind} "${name}".${meant === undefined ? '' : ` Did you mean "${meant}"?`}\n`
}

/**
 * Runs the command.
 *
 * @param args what follows the name of the command.
 * @returns the exit code: 0 when it is done, 1 when it failed, 2 when the arguments are wrong; that of the program for
 * `run`.
 */
export async function run (args: readonly string[], output: Output): Promise<number> {
  const program = new Command('fastify-prox')
    .description('Runs programs behind the Fastify plugin fastify-prox, and manages its certificate authority.')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .addHelpText('afterAll', '\nExit codes: 0 done, 1 failed, 2 wrong arguments; of run, that of the command.')
    .showHelpAfterError('Run with --help for usage.')
    .configureOutput({
      writeOut: (text) => { output.stdout.write(text) },
      writeErr: (text) => { output.stderr.write(text) },
      outputError: (text, write) => write(usageError(text))
    })
    .exitOverride()
  let exitCode = DONE
  const end = (code: number): void => { exitCode = code }
  program.addCommand(runCommand(args, output, end))
  program.addCommand(startCommand(args, output, end))
  program.addCommand(caCommand(output))
  program.addCommand(warcCommand(output))
  for (const command of program.commands) {
    command.copyInheritedSettings(program)
    for (const leaf of command.commands) leaf.copyInheritedSettings(command)
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (err) {
    // Commander has printed the error itself; help and version end the run this way as well.
    if (err instanceof CommanderError) return err.exitCode === 0 ? DONE : WRONG_USAGE
    output.stderr.write(`fastify-prox: ${(err as Error).message}\n`)
    return FAILED
  }
}
