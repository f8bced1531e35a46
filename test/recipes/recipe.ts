/**
 * Runs a recipe of `docs/recipes.md`, or other code of the documentation, as it stands there. What differs: it gets
 * this working tree in place of the package, a port that is free, a logger whose lines the test can read, and the
 * loopback among the addresses that are forwarded to.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Test } from 'tap'
import fastifyProxForward from '../../forward/index'
import fastifyProx from '../../plugin/index'
import fastifyProxWarc from '../../warc/index'
import { Log } from '../support/log'
import { Proxy } from '../support/proxy'

const TEXT = readFileSync(join(__dirname, '../../docs/recipes.md'), 'utf8')

/** The titles of all recipes. */
export const TITLES = [...TEXT.matchAll(/^## (.*)$/gm)].map(([, title]) => title!)

/** The first block of code in a language, of one recipe. */
export function block (title: string, language: string): string {
  const section = TEXT.split(/^## /m).find((section) => section.startsWith(`${title}\n`))
  return section!.split(`\`\`\`${language}\n`)[1]!.split('```')[0]!
}

type Line = Record<string, unknown>
type Program = (load: (name: string) => Promise<unknown>, logger: object) => Promise<FastifyInstance>

const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => Program

const forward = fp(async (app: FastifyInstance) => { await app.register(fastifyProxForward, { allow: ['127.0.0.1'] }) })

interface Running {
  app: FastifyInstance
  proxy: Proxy
  lines: Line[]
}

/** Starts the recipe's application. */
export async function run (t: Test, title: string): Promise<Running> {
  return await runCode(t, block(title, 'js'))
}

/** Starts the application of a program, which names it `app`. */
export async function runCode (t: Test, program: string): Promise<Running> {
  const lines: Line[] = []
  const logger = { stream: { write: (line: string) => { lines.push(JSON.parse(line)) } } }
  const load = async (name: string): Promise<unknown> => {
    if (name === 'fastify-prox') return fastifyProx
    if (name === 'fastify-prox/forward') return forward
    if (name === 'fastify-prox/warc') return fastifyProxWarc
    const loaded: object = require(name)
    return loaded
  }
  const code = program
    .replace(/^import (\w+), (\{.*\}) from ('.*')$/gm, 'const $1 = await load($3), $2 = $1')
    .replace(/^import (.*) from ('.*')$/gm, 'const $1 = await load($2)')
    .replace(/port: \d+/, 'port: 0')
    .replace('logger: true', 'logger')
  const app = await new AsyncFunction('load', 'logger', `${code}\nreturn app`)(load, logger)
  t.teardown(() => app.close())
  return { app, proxy: new Proxy(t, app, new Log()), lines }
}
