#!/usr/bin/env node
/** The command `fastify-prox`, where it meets the process. */
import { run } from './run'

run(process.argv.slice(2), process).then((exitCode) => { process.exitCode = exitCode })
