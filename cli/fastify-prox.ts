#!/usr/bin/env node
/** The command `fastify-prox`: runs with the arguments, the output and the exit code of the process. */
import { run } from './program'

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (err: NodeJS.ErrnoException) => {
    // The reader of a pipe has left, as `head` does when it has seen enough.
    if (err.code === 'EPIPE') process.exit(0)
    process.stderr.write(`fastify-prox: ${err.message}\n`)
    process.exit(1)
  })
}

run(process.argv.slice(2), process).then((exitCode) => { process.exitCode = exitCode })
