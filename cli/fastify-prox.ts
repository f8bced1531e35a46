#!/usr/bin/env node
/** The command `fastify-prox`: runs with the arguments, the output and the exit code of the process. */
import { run } from './run'

// The reader of a pipe has left, as `head` does when it has seen enough.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (err: NodeJS.ErrnoException) => { process.exit(err.code === 'EPIPE' ? 0 : 1) })
}

run(process.argv.slice(2), process).then((exitCode) => { process.exitCode = exitCode })
