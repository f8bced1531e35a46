/** The command `run`: a program behind the application, which ends with it. */
import { Command } from 'commander'
import { buildApplication } from './application'
import { addApplicationOptions, assertAnswers } from './application-options'
import type { ApplicationOptions } from './application-options'
import { runProgram } from './child'
import type { Output } from './output'
import { runWatched } from './watch'

const EXAMPLES = `
Examples:
  fastify-prox run mocks.mjs -- npm test
  fastify-prox run mocks.mjs --quiet -- python3 program.py --verbose
  fastify-prox run --record site.har -- ./crawl
  fastify-prox run --replay site.har -- npm test
  fastify-prox run mocks.mjs --forward --pass 'login.example,*.pinned.example' -- ./crawl

The program finds the proxy and its certificate authority, which is in memory unless --ca names a file, in its
environment. It gets the signals that come here, and its exit code is the one of this command (128 and the number of the
signal that ended it).`

/** What Node's watcher tells its own child, and nobody else. */
const OF_THE_WATCHER = 'WATCH_REPORT_DEPENDENCIES'

/**
 * @param args all of them, from the name of the command on
 * @param end takes the exit code
 */
export function runCommand (args: readonly string[], output: Output, end: (exitCode: number) => void): Command {
  const { stderr } = output
  const tell = (message: string): void => { stderr.write(`fastify-prox: ${message}\n`) }

  const run = async (
    first: string | undefined, rest: string[], options: ApplicationOptions, command: Command
  ): Promise<void> => {
    const { file, program } = operands(args, first, rest)
    assertAnswers(command, file, options)
    if (program.length === 0) command.error("error: what to run is missing: it stands behind '--'")
    if (options.watch === true) return end(await runWatched(args, tell))
    const { app, unrouted, traffic } = await buildApplication(
      file, { ...options, defaultCa: { store: new Map() }, https: false }, output
    )
    try {
      await app.listen({ port: 0, host: '127.0.0.1' })
      const { [OF_THE_WATCHER]: _, ...env } = process.env
      end(await runProgram(program, { ...env, ...app.proxyEnv() }, tell))
    } finally {
      await app.close()
    }
    if (options.quiet !== true) stderr.write(unrouted.report() + (traffic === null ? '' : `${traffic.line()}\n`))
  }

  return addApplicationOptions(new Command('run'))
    .description('run a program whose traffic the application answers')
    .argument('[command...]', "what to run, behind '--'")
    .option('--ca <path>', 'PEM bundle of the certificate authority (default: one in memory)')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

/** The module, which may be left out, and the program: what stands behind `--`. */
function operands (
  args: readonly string[], first: string | undefined, rest: readonly string[]
): { file: string | undefined, program: readonly string[] } {
  const dashes = args.indexOf('--')
  const behind = dashes === -1 ? 0 : args.length - dashes - 1
  const all = first === undefined ? [] : [first, ...rest]
  return all.length === behind ? { file: undefined, program: all } : { file: first, program: rest }
}
