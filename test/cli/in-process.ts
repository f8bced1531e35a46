/**
 * `fastify-prox` in the process of the test, where its coverage counts.
 *
 *   const path = files(t, { 'own.mjs': '…' })                 a folder with these, ask.cjs and apps.mjs
 *   const { code, stdout, stderr } = await command('run', …)
 *   const running = begin('start', …)
 *   const port = await started(running)                       where it says that it listens
 */
import { join } from 'node:path'
import type { Test } from 'tap'
import { run } from '../../cli/program'
import { until } from '../support/until'

export interface Running {
  readonly written: { stdout: string, stderr: string }
  readonly code: Promise<number>
}

export function begin (...args: string[]): Running {
  return beginOn(false, args)
}

/** The same with a standard error that is a terminal, or is not. */
export function beginOn (isTTY: boolean, args: string[]): Running {
  const written = { stdout: '', stderr: '' }
  const code = run(args, {
    stdout: { isTTY: false, write: (chunk) => { written.stdout += String(chunk) } },
    stderr: { isTTY, write: (chunk) => { written.stderr += chunk } }
  })
  return { written, code }
}

export async function command (...args: string[]): Promise<{ code: number, stdout: string, stderr: string }> {
  const { written, code } = begin(...args)
  return { code: await code, ...written }
}

/** Asks for each URL, and writes the answers to a file. */
const ASK = `
const { get } = require('node:http')
const { appendFileSync } = require('node:fs')
const [, , file, ...urls] = process.argv
const ask = (url) => new Promise((resolve, reject) => get(url, resolve).on('error', reject))
;(async () => {
  for (const url of urls) {
    const response = await ask(url)
    appendFileSync(file, response.statusCode + ' ' + (await response.toArray()).join('').slice(0, 60) + '\\n')
  }
})()`

export const APPS = "export default { 'a.test': async (app) => { app.get('/', async () => 'a') } }"

export function files (t: Test, more: Record<string, string | Record<string, string>> = {}): (name: string) => string {
  const directory = t.testdir({ 'ask.cjs': ASK, 'apps.mjs': APPS, ...more })
  return (name) => join(directory, name)
}

const PORT = /^Proxy: {2}https?:\/\/[^:]+:(\d+)\n/m

/** The port that it says it listens on. */
export async function started ({ written, code }: Running): Promise<number> {
  let ended = false
  code.then(() => { ended = true })
  await until(() => ended || PORT.test(written.stdout))
  if (ended) throw new Error(`It has ended: ${written.stderr}`)
  return Number(PORT.exec(written.stdout)![1])
}
