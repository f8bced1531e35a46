/** The options that `run` and `start` share. */
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { hasTraffic } from './traffic'
import type { TrafficOptions } from './traffic'

export interface ApplicationOptions extends TrafficOptions {
  ca?: string
  forward?: true
  pass?: string[]
  allow?: string[]
  quiet?: true
  watch?: true
}

/** Adds the argument for the application's file, and the options. */
export function addApplicationOptions (command: Command): Command {
  return command
    .argument('[app]', 'module that exports a Fastify plugin, an object of proxy apps, or `options` of fastify-prox')
    .option('--forward', 'forward what has no route to the real site')
    .option('--record <file>', 'forward it, and record it to this HAR file')
    .option('--warc <directory>', 'forward it, and record it to WARC files in this directory')
    .addOption(new Option('--replay <path>', 'answer it from this HAR file, or these WARC files or their directory')
      .conflicts(['record', 'warc', 'forward']))
    .option('--pass <hosts>', 'pass tunnels to these hosts through: host,*.host', addHosts)
    .option('--allow <addresses>', 'private addresses, networks or names that may be connected to', addList)
    .option('--quiet', 'say nothing but errors')
    .option('--watch', 'restart when a file changes')
}

/** Ends the command with an error if there is nothing that could answer. */
export function assertAnswers (command: Command, file: string | undefined, options: ApplicationOptions): void {
  if (file !== undefined || options.forward === true || hasTraffic(options)) return
  command.error("error: missing argument 'app', or one of --forward, --record, --warc and --replay")
}

function addList (value: string, before: string[] = []): string[] {
  return [...before, ...value.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '')]
}

function addHosts (value: string, before: string[] = []): string[] {
  return [...before, ...addList(value).map(parsePattern)]
}

/** The pattern in the form of URLs, as the policy sees hosts. */
function parsePattern (pattern: string): string {
  const wildcard = pattern.startsWith('*.') ? '*.' : ''
  const host = pattern.slice(wildcard.length)
  if (/[/?#@:*]/.test(host) || !URL.canParse(`http://${host}`)) {
    throw new InvalidArgumentError(`"${pattern}" is neither a host nor "*." and a host.`)
  }
  return wildcard + new URL(`http://${host}`).hostname
}
