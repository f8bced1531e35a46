/** Checks the options of the plugin, and fills in what was left out. */
import type { SecureContextOptions } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import type { CertificateAuthority, CertificateAuthorityOptions } from '../types/ca'
import type {
  FastifyProxOptions, OnConnect, ProxyApp, ProxyLimits, ProxyProtocolOptions, ProxyResolver, ProxyTimeouts
} from '../types/options'
import { AddressList } from '../net/address-list'
import { CA, TLS, assertTls } from './ca/options'
import { isRoot } from './compat/fastify-routers'
import { FST_PROX_INVALID_OPTION, FST_PROX_NOT_AT_ROOT, kindOf, show } from './errors'
import { BOOLEAN, FUNCTION, LIMIT, MILLISECONDS, OBJECT, PATH, STRING, checkOptions } from './option-rules'
import type { Rule, Rules } from './option-rules'
import { fixedResolver, proxyAuthResolver } from './routing/resolvers'

/** The options of the plugin, complete. */
export interface Settings {
  readonly resolver: ProxyResolver
  readonly proxyHost: string
  readonly downloadHost: string | null
  readonly proxyApps: ReadonlyArray<readonly [name: string, app: ProxyApp]>
  readonly ca: CertificateAuthorityOptions | CertificateAuthority
  readonly websockets: boolean
  readonly http2: boolean
  readonly tls: SecureContextOptions
  readonly keyLogFile: string | null
  readonly onConnect: OnConnect | undefined
  /** `null`: nobody sends a header. */
  readonly proxyProtocol: { readonly trusted: AddressList, readonly unix: boolean, readonly timeout: number } | null
  readonly timeouts: Required<ProxyTimeouts>
  readonly limits: Required<ProxyLimits>
  readonly keepAliveMax: number
}

const TIMEOUTS: Required<ProxyTimeouts> = {
  firstByte: 10_000, handshake: 10_000, idle: 0, passIdle: 600_000, close: 5_000
}
const LIMITS: Required<ProxyLimits> = { tunnels: 10_000, tunnelsPerClient: 1_000 }

const PROXY_PROTOCOL_TIMEOUT = 5_000
const UNIX = 'unix'

const TRUSTED: Rule = {
  takes: "a list of addresses and networks, such as ['10.0.0.0/8'], and 'unix' for a unix socket",
  accepts: (value) => Array.isArray(value) && value.length > 0 && value.every(isTrusted)
}

function isTrusted (entry: unknown): boolean {
  return typeof entry === 'string' && (entry === UNIX || new AddressList().add(entry))
}

const RULES: Rules<keyof FastifyProxOptions> = {
  // Checked by the resolver that comes of it.
  resolver: { takes: 'anything', accepts: () => true },
  proxyHost: STRING,
  downloadHost: { takes: STRING.takes, accepts: (value) => value === false || STRING.accepts(value) },
  proxyApps: OBJECT,
  ca: CA,
  websockets: BOOLEAN,
  http2: BOOLEAN,
  tls: TLS,
  keyLogFile: PATH,
  onConnect: FUNCTION,
  proxyProtocol: { ...OBJECT, options: { trusted: TRUSTED, timeout: MILLISECONDS } },
  timeouts: {
    ...OBJECT,
    options: {
      firstByte: MILLISECONDS, handshake: MILLISECONDS, idle: MILLISECONDS, passIdle: MILLISECONDS, close: MILLISECONDS
    }
  },
  limits: { ...OBJECT, options: { tunnels: LIMIT, tunnelsPerClient: LIMIT } },
  keepAliveMax: LIMIT
}

/** Options of `fastify.register` itself. */
const REGISTER_NAMES = ['prefix', 'logLevel', 'logSerializers']

/**
 * Checks the options and fills in what was left out; an `undefined` one counts as left out.
 *
 * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION
 */
export function readOptions (options: FastifyProxOptions): Settings {
  checkOptions(Object.fromEntries(Object.entries(options).filter(([name]) => !REGISTER_NAMES.includes(name))), RULES)
  const {
    proxyHost = 'fastify-prox', downloadHost = proxyHost, ca = {}, websockets = true, http2 = true, tls = {},
    keyLogFile = null, onConnect, keepAliveMax = Infinity
  } = options
  assertTls(tls, 'tls')
  return {
    resolver: readResolver(options.resolver),
    proxyHost,
    downloadHost: downloadHost === false ? null : downloadHost,
    proxyApps: readProxyApps(options.proxyApps),
    ca,
    websockets,
    http2,
    tls,
    keyLogFile,
    onConnect,
    proxyProtocol: readProxyProtocol(options.proxyProtocol),
    timeouts: withDefaults(options.timeouts, TIMEOUTS),
    limits: withDefaults(options.limits, LIMITS),
    keepAliveMax
  }
}

/**
 * Refuses a registration where the proxy would answer for a part of the application.
 * @throws FST_PROX_NOT_AT_ROOT that says what to do
 */
export function assertAtRoot (fastify: FastifyInstance, options: object): void {
  const prefix = fastify.prefix || (options as { prefix?: string }).prefix
  if (prefix) throw new FST_PROX_NOT_AT_ROOT(`without the prefix ${prefix}`)
  if (!isRoot(fastify)) {
    throw new FST_PROX_NOT_AT_ROOT('at the root of the application, or in a plugin that is wrapped in fastify-plugin')
  }
}

function readResolver (value: FastifyProxOptions['resolver']): ProxyResolver {
  if (typeof value !== 'function') return fixedResolver(value)
  const maker = [fixedResolver, proxyAuthResolver].find((maker) => (value as unknown) === maker)
  if (maker !== undefined) {
    throw new FST_PROX_INVALID_OPTION('resolver', `what ${maker.name}() returns`, `${maker.name} itself: call it`)
  }
  if (value.requireAuth !== undefined && typeof value.requireAuth !== 'function') {
    throw new FST_PROX_INVALID_OPTION('resolver.requireAuth', 'a function', show(value.requireAuth))
  }
  return value
}

function readProxyApps (value: FastifyProxOptions['proxyApps'] = {}): Settings['proxyApps'] {
  const apps = Object.entries(value)
  for (const [name, app] of apps) {
    if (app !== null && !isPlugin(app)) {
      const takes = 'a plugin, or null for a further name of the application'
      throw new FST_PROX_INVALID_OPTION(`proxyApps[${show(name)}]`, takes, kindOf(app))
    }
  }
  return apps
}

function readProxyProtocol (value: ProxyProtocolOptions | undefined): Settings['proxyProtocol'] {
  if (value === undefined) return null
  const { trusted, timeout = PROXY_PROTOCOL_TIMEOUT } = value
  if (trusted === undefined) {
    throw new FST_PROX_INVALID_OPTION('proxyProtocol.trusted', String(TRUSTED.takes), show(trusted))
  }
  const list = new AddressList()
  for (const entry of trusted) list.add(entry)
  return { trusted: list, unix: trusted.includes(UNIX), timeout }
}

/**
 * Whether a value is what `fastify.register` takes: a plugin, a module that exports one as the default, or a promise.
 */
function isPlugin (value: unknown): boolean {
  if (typeof value === 'function') return true
  const { default: exported, then } = Object(value) as { default?: unknown, then?: unknown }
  return typeof exported === 'function' || typeof then === 'function'
}

function withDefaults<T extends object> (value: Partial<T> = {}, defaults: T): T {
  const given = Object.entries(value).filter(([, number]) => number !== undefined)
  return { ...defaults, ...Object.fromEntries(given) }
}
