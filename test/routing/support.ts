/**
 * What the tests of resolvers, proxy hosts and private routes share, on top of test/support.
 *
 *   const proxy = await withApps(t, { 'app.test': app })        proxy apps beside an application that answers the rest
 *   const proxy = await withApp(t, fastifyOptions, app, setup)  one proxy app, and no download host
 *   await bodyOf(proxy.get('http://app.test/'))
 */
import type { FastifyInstance, FastifyPluginAsync, FastifyServerOptions } from 'fastify'
import type { Test } from 'tap'
import type fastifyProx from '../../plugin/index'
import { start } from '../support/proxy'
import type { Proxy } from '../support/proxy'
import type { RawResponse } from '../support/raw'

export type Apps = NonNullable<fastifyProx.FastifyProxOptions['proxyApps']>

export const PROX = { resolver: '/prefix/' }

/** The main application answers everything, and says so. */
export function main (app: FastifyInstance): void {
  app.all('/*', async ({ url, proxy }) => `main ${url} ${proxy?.proxyHost}`)
}

export async function withApps (t: Test, proxyApps: Apps, setup = main): Promise<Proxy> {
  return await start(t, { prox: { ...PROX, proxyApps } }, setup)
}

/** A proxy with the proxy app `app.test` alone, for whatever options of Fastify. */
export async function withApp (
  t: Test, fastify: FastifyServerOptions, app: FastifyPluginAsync, setup?: (app: FastifyInstance) => void
): Promise<Proxy> {
  return await start(t, { fastify, prox: { proxyApps: { 'app.test': app }, downloadHost: false } }, setup)
}

export async function bodyOf (answer: Promise<RawResponse>): Promise<string> {
  return (await answer).body
}

export async function statusOf (proxy: Proxy, url: string, headers?: Record<string, string>): Promise<number> {
  return (await proxy.get(url, headers)).status
}

/** The field of a response that asks for credentials. */
export function challenge (realm: string): Record<string, string> {
  return { 'proxy-authenticate': `Basic realm="${realm}", charset="UTF-8"` }
}
