/** The command `start`: the application as a proxy, until a signal ends it. */
import { once } from 'node:events'
import { relative } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { FastifyInstance } from 'fastify'
import { buildApplication } from './application'
import { addApplicationOptions, assertAnswers } from './application-options'
import type { ApplicationOptions } from './application-options'
import type { Output } from './output'
import { showProgress } from './progress'
import { runWatched } from './watch'

interface StartOptions extends ApplicationOptions {
  port: number
  host: string
  https?: true
}

const EXAMPLES = `
Examples:
  fastify-prox start app.mjs
  fastify-prox start app.mjs --port 3128 --watch
  fastify-prox start --warc archive/
  fastify-prox start --replay archive/
  fastify-prox start app.mjs --host 0.0.0.0 --https --ca /etc/proxy/ca.pem`

/**
 * @param args all of them, from the name of the command on
 * @param end takes the exit code
 */
export function startCommand (args: readonly string[], output: Output, end: (exitCode: number) => void): Command {
  const { stdout, stderr } = output
  const tell = (message: string): void => { stderr.write(`fastify-prox: ${message}\n`) }

  const start = async (file: string | undefined, options: StartOptions, command: Command): Promise<void> => {
    assertAnswers(command, file, options)
    if (options.watch === true) return end(await runWatched(args, tell))
    const https = options.https === true
    const { app, unrouted, traffic } = await buildApplication(file, { ...options, defaultCa: {}, https }, output)
    // Once each: who asks a second time does not want to wait.
    const stopped = Promise.race(['SIGINT', 'SIGTERM', 'SIGHUP'].map(async (signal) => await once(process, signal)))
    try {
      await app.listen({ port: options.port, host: options.host })
      if (options.quiet !== true) stdout.write(welcome(app))
      const shows = traffic !== null && options.quiet !== true
      const endProgress = shows ? showProgress(stderr, () => traffic.line()) : () => {}
      await stopped
      endProgress()
    } finally {
      await app.close()
    }
    if (options.quiet !== true) stderr.write(unrouted.report() + (traffic === null ? '' : `${traffic.line()}\n`))
  }

  return addApplicationOptions(new Command('start'))
    .description('start the application as a proxy')
    .option('--port <number>', 'where it listens; 0: a free one', readPort, 8080)
    .option('--host <host>', 'where it listens', '127.0.0.1')
    .option('--https', 'speak TLS to clients, with a certificate for localhost')
    .option('--ca <path>', 'PEM bundle of the certificate authority (default: "./ca/fastify-prox-ca.pem")')
    .addHelpText('after', EXAMPLES)
    .action(start)
}

/** Where the proxy is, what it signs with, and a line to paste. */
function welcome (app: FastifyInstance): string {
  const { HTTPS_PROXY: url, NODE_EXTRA_CA_CERTS: written } = app.proxyEnv()
  const { name, file, fingerprint256 } = app.proxyCA
  const path = file === undefined || file === null ? written : relative('', file)
  const quoted = /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
  const trust = url.startsWith('https:') ? `--proxy-cacert ${quoted} --cacert ${quoted}` : `--cacert ${quoted}`
  return [
    `Proxy:  ${url}`,
    `CA:     ${path} ("${name}", SHA-256 ${fingerprint256})`,
    `Try:    curl -x ${url} ${trust} https://example.com/`,
    ''
  ].join('\n')
}

function readPort (value: string): number {
  const port = Number(value)
  if (!/^\d+$/.test(value) || port > 65_535) throw new InvalidArgumentError('It takes a number from 0 to 65535.')
  return port
}
