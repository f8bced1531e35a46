/** `fastify-prox warc`: what there is to do with WARC files. */
import { Argument, Command } from 'commander'
import { writeIndexes } from '../warc/index-files'
import type { Output } from './output'

const EXAMPLES = `
Examples:
  fastify-prox warc index archive/
  fastify-prox warc index 'crawls/*.warc.gz' --out all.cdxj`

/** Makes the command with the command below it. */
export function warcCommand ({ stderr }: Output): Command {
  const tell = (message: string): void => { stderr.write(`fastify-prox: ${message}\n`) }

  const index = async (files: string[], { out }: { out?: string }): Promise<void> => {
    const written = await writeIndexes(files, out, (message) => tell(`warning: ${message}`))
    for (const { path, captures } of written) {
      tell(`wrote ${captures} ${captures === 1 ? 'capture' : 'captures'} to ${path}`)
    }
  }

  return new Command('warc')
    .description('index WARC files')
    .helpCommand(false)
    .addCommand(new Command('index')
      .description('write an index beside each file, with which replaying starts at once')
      .addArgument(new Argument('<files...>', 'WARC files, folders, and patterns with * and ?'))
      .option('--out <path>', 'write one index of all files, for the option "index" of warc.replay')
      .addHelpText('after', EXAMPLES)
      .action(index))
}
