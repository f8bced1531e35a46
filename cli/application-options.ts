/** The options that `run` and `start` share. */
import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'

export interface ApplicationOptions {
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
    .argument('<app>', 'module that exports a Fastify plugin, an object of proxy apps, or `options` of fastify-prox')
    .option('--forward', 'forward what has no route to the real site')
    .option('--pass <hosts>', 'pass tunnels to these hosts through: host,*.host', addHosts)
    .option('--allow <addresses>', 'private addresses, networks or names that may be connected to', addList)
    .option('--quiet', 'say nothing but errors')
    .option('--watch', 'restart when a file changes')
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
