/** Builds the application that a module exports, behind the plugin. */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import fastifyProx from '../plugin/index'
import { isObject } from '../plugin/option-rules'
import type { CertificateAuthorityOptions } from '../types/ca'
import type { FastifyProxOptions, OnConnect } from '../types/options'
import type { ApplicationOptions } from './application-options'
import { forwardTheRest } from './forward'
import type { Output } from './output'
import { hasTraffic, registerArchive, registerTraffic, Traffic } from './traffic'
import { Unrouted } from './unrouted'

export interface Application {
  readonly app: FastifyInstance
  /** Requests that no route was there for. */
  readonly unrouted: Unrouted
  /** What is recorded or replayed; `null`: nothing is. */
  readonly traffic: Traffic | null
}

export interface ApplicationSettings extends ApplicationOptions {
  /** Options of the CA where neither the command line nor the module has any. */
  readonly defaultCa: CertificateAuthorityOptions
  /** Whether the server speaks TLS itself. */
  readonly https: boolean
}

/**
 * Loads a module and builds what it exports; the application does not listen yet. Without a module, all that answers
 * is what the options say.
 * @throws whatever the module throws, and an error for one that exports nothing of use
 */
export async function buildApplication (
  file: string | undefined, settings: ApplicationSettings, { stderr }: Output
): Promise<Application> {
  const { plugin, options } = file === undefined ? NOTHING : await loadModule(file)
  const { ca: own, tls, onConnect, ...rest } = options
  const ca = own instanceof fastifyProx.CertificateAuthority && settings.ca === undefined
    ? own
    : await loadAuthority(settings, own as CertificateAuthorityOptions | undefined, tls)
  const app = Fastify({
    logger: { level: settings.quiet === true ? 'error' : 'warn', stream: stderr },
    ...(settings.https && { https: await ca.issue('localhost') })
  }) as unknown as FastifyInstance
  const unrouted = new Unrouted(app)
  const traffic = hasTraffic(settings) ? new Traffic(app, settings) : null
  await app.register(fastifyProx, { ...rest, ca, onConnect: policyOf(settings, onConnect) })
  if (plugin !== null) await app.register(plugin)
  await registerArchive(app, settings)
  if (settings.forward === true || traffic !== null) {
    await forwardTheRest(app, settings.allow ?? 'public', async () => {
      if (traffic !== null) await registerTraffic(app, settings, traffic)
    })
  }
  return { app, unrouted, traffic }
}

interface Loaded {
  readonly plugin: FastifyPluginCallback | null
  readonly options: FastifyProxOptions
}

const NOTHING: Loaded = { plugin: null, options: {} }

async function loadModule (file: string): Promise<Loaded> {
  const exported = await import(pathToFileURL(resolve(file)).href) as { default?: unknown, options?: unknown }
  const { options = {} } = exported
  // What TypeScript makes of `export default` for require() has a default of its own.
  const inner = (exported.default as { default?: unknown } | undefined)?.default
  const main = typeof inner === 'function' ? inner : exported.default
  if (!isObject(options)) throw new Error(`${file} exports "options" that are no object`)
  if (typeof main === 'function') return { plugin: main as FastifyPluginCallback, options }
  if (main === undefined && exported.options !== undefined) return { plugin: null, options }
  if (!isObject(main)) {
    throw new Error(`${file} has neither a plugin nor an object of proxy apps as its default export, nor "options"`)
  }
  const { proxyApps } = options as FastifyProxOptions
  return { plugin: null, options: { ...options, proxyApps: { ...proxyApps, ...main } } }
}

async function loadAuthority (
  settings: ApplicationSettings, own: CertificateAuthorityOptions | undefined, tls: FastifyProxOptions['tls']
): Promise<fastifyProx.CertificateAuthority> {
  const chosen = settings.ca === undefined ? own ?? settings.defaultCa : { ...own, file: settings.ca }
  return await fastifyProx.CertificateAuthority.load({ tls, ...chosen })
}

function policyOf (
  { pass = [], allow }: ApplicationOptions, own: OnConnect | undefined
): OnConnect | undefined {
  if (pass.length === 0) return own
  const decision = fastifyProx.pass({ allow, via: 'env' })
  const isPassed = (hostname: string): boolean => pass.some((pattern) => pattern.startsWith('*.')
    ? hostname.endsWith(pattern.slice(1))
    : hostname === pattern)
  return (context) => isPassed(context.hostname) ? decision : own?.(context)
}
