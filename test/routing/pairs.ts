/**
 * Pairs of applications: the same plugin at the root of plain Fastify, and as a proxy app. Each is asked the same, by
 * `inject` and by `injectProxy` with `http:` and `https:`, and has to give the same answers.
 *
 *   const app: App = (app, note) => { app.get('/a', …) }
 *   await behavesAlike(t, { app, ask: ['/a', { method: 'POST', url: '/a' }] })
 *
 * What `note` is called with belongs to the answer: calls at start-up are compared as well.
 */
import Fastify from 'fastify'
import type {
  FastifyInstance, FastifyRequest, FastifyServerOptions, InjectOptions, LightMyRequestResponse
} from 'fastify'
import type { Test } from 'tap'
import fastifyProx, { CertificateAuthority } from '../../plugin/index'

export const HOST = 'app.test'

export type Note = (...values: unknown[]) => void

/** The plugin of a pair. */
export type App = (app: FastifyInstance, note: Note) => unknown

type Ask = string | (Omit<InjectOptions, 'url'> & { url: string })

export interface Behaviour {
  /** Options of Fastify, for both. */
  fastify?: FastifyServerOptions
  /** What both roots do before they register the plugin. */
  root?: (app: FastifyInstance, note: Note) => unknown
  app: App
  ask?: Ask[]
  /** Status codes of the answers to `ask`, in its order. */
  expect?: number[]
}

export interface Member {
  readonly app: FastifyInstance
  /** What was noted since the last call. */
  readonly noted: () => unknown[]
}

/** The hooks of a request that is answered. */
export const HOOKS = [
  'onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend', 'onResponse'
] as const

/** Answers with all that a handler can see of its request and of its route. */
export async function tell (request: FastifyRequest): Promise<object> {
  const { method, url, is404, params, query, body, routeOptions, host, hostname, raw } = request
  const { url: route, config, bodyLimit, exposeHeadRoute, prefixTrailingSlash } = routeOptions
  return {
    method,
    url,
    is404,
    params,
    query,
    body,
    route,
    config,
    bodyLimit,
    exposeHeadRoute,
    prefixTrailingSlash,
    host,
    hostname,
    raw: raw.url
  }
}

const ca = CertificateAuthority.load({ store: new Map() })

function notes (): { note: Note, noted: () => unknown[] } {
  const all: unknown[] = []
  return { note: (...values) => { all.push(...values) }, noted: () => all.splice(0) }
}

type Wrapped = (app: FastifyInstance) => Promise<void>

/** Both applications of a pair, not yet ready. */
export async function pair (
  t: Test, { fastify, root, app: plugin }: Behaviour
): Promise<{ plain: Member, proxied: Member }> {
  const authority = await ca
  const create = async (register: (app: FastifyInstance, wrapped: Wrapped) => unknown): Promise<Member> => {
    const { note, noted } = notes()
    const app = Fastify({ ...fastify })
    t.teardown(() => app.close())
    await root?.(app, note)
    await register(app, async (context) => { await plugin(context, note) })
    return { app, noted }
  }
  return {
    plain: await create((app, wrapped) => { app.register(wrapped) }),
    proxied: await create((app, wrapped) => {
      app.register(fastifyProx, { ca: authority, downloadHost: false, proxyApps: { [HOST]: wrapped } })
    })
  }
}

/** What two answers have to have in common: all but the date, and what was noted. */
function answer ({ statusCode, headers, payload, trailers }: LightMyRequestResponse, noted: unknown[]): object {
  const { date, ...fields } = headers
  return { statusCode, headers: { ...fields }, payload, trailers, noted }
}

/** Asks both applications of a pair, which have to give the same answers. */
export async function behavesAlike (t: Test, behaviour: Behaviour): Promise<void> {
  const { plain, proxied } = await pair(t, behaviour)
  const starts = await Promise.allSettled([plain, proxied].map(({ app }) => app.ready()))
  const [first, second] = starts.map((start) => start.status === 'fulfilled' ? 'ready' : start.reason.code)
  t.equal(second, first, 'start')
  t.strictSame(proxied.noted(), plain.noted(), 'at start')
  const statuses: number[] = []
  for (const ask of behaviour.ask ?? []) {
    const request = typeof ask === 'string' ? { url: ask } : ask
    const name = `${request.method ?? 'GET'} ${request.url}`
    const response = await plain.app.inject({ ...request, authority: HOST })
    statuses.push(response.statusCode)
    const expected = answer(response, plain.noted())
    for (const scheme of ['http', 'https']) {
      const given = await proxied.app.injectProxy({ ...request, url: `${scheme}://${HOST}${request.url}` })
      t.strictSame(answer(given, proxied.noted()), expected, `${name} by ${scheme}`)
      t.notMatch(JSON.stringify(answer(given, [])), 'fastify-prox', 'nothing of ours shows')
    }
  }
  const { expect } = behaviour
  if (expect !== undefined) t.strictSame(statuses, expect, 'the status codes that plain Fastify gives')
}
