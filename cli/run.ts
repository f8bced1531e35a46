/** The command `fastify-prox`: its arguments, its output, its exit code. */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { caCommand } from './ca'

/** Where a run writes to. */
export interface Output {
  readonly stdout: { write (chunk: string | Uint8Array): unknown }
  readonly stderr: { write (chunk: string): unknown }
}

const DONE = 0
const FAILED = 1
const WRONG_USAGE = 2

function version (): string {
  // By its own name, since this file is one directory deeper when it is compiled.
  return (JSON.parse(readFileSync(require.resolve('fastify-prox/package.json'), 'utf8')) as { version: string }).version
}

/**
 * Runs the command.
 *
 * @param args what follows the name of the command.
 * @returns the exit code: 0 when it is done, 1 when it failed, 2 when the arguments are wrong.
 */
export async function run (args: readonly string[], output: Output): Promise<number> {
  const program = new Command('fastify-prox')
    .description('HTTP, HTTPS and WebSocket proxy support for Fastify: what there is to do beside the application')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .addHelpText('afterAll', '\nExit codes: 0 done, 1 failed, 2 wrong arguments.')
    .showHelpAfterError('(--help tells what there is)')
    .configureOutput({
      writeOut: (text) => { output.stdout.write(text) },
      writeErr: (text) => { output.stderr.write(text) }
    })
    .exitOverride()
  program.addCommand(caCommand(output).copyInheritedSettings(program))
  for (const command of program.commands) {
    for (const leaf of command.commands) leaf.copyInheritedSettings(command)
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return DONE
  } catch (error) {
    // Commander has said what is wrong itself; help and version end the run this way as well.
    if (error instanceof CommanderError) return error.exitCode === 0 ? DONE : WRONG_USAGE
    output.stderr.write(`fastify-prox: ${(error as Error).message}\n`)
    return FAILED
  }
}
