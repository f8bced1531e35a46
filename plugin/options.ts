/** Reads the options: checks each one, and fills in what was left out. */
import type { FastifyProxOptions, OnConnect, ProxyApp, ProxyLimits, ProxyResolver, ProxyTimeouts } from '../types/options'
import type { CertificateAuthorityOptions } from '../types/ca'
import type { SecureContextOptions } from 'node:tls'
import type { CertificateAuthority } from './ca/authority'
import { FST_PROX_INVALID_OPTION, kindOf, show } from './errors'
import { fixedResolver } from './routing/resolvers'

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
  readonly timeouts: Required<ProxyTimeouts>
  readonly limits: Required<ProxyLimits>
  readonly keepAliveMax: number
}

const NAMES = new Set([
  'resolver', 'proxyHost', 'downloadHost', 'proxyApps', 'ca', 'websockets', 'http2', 'tls', 'keyLogFile', 'onConnect',
  'timeouts', 'limits', 'keepAliveMax'
])
/** Options of `fastify.register` itself. */
const REGISTER_NAMES = new Set(['prefix', 'logLevel', 'logSerializers'])

const TIMEOUTS: Required<ProxyTimeouts> = { firstByte: 10_000, handshake: 10_000, idle: 0, close: 5_000 }
const LIMITS: Required<ProxyLimits> = { tunnels: 10_000, tunnelsPerClient: 1_000 }
const LONGEST_TIMEOUT = 2 ** 31 - 1

/** @throws FST_PROX_INVALID_OPTION that names the option, what it takes and what it got */
export function readOptions (options: FastifyProxOptions): Settings {
  for (const name of Object.keys(options)) {
    if (!NAMES.has(name) && !REGISTER_NAMES.has(name)) {
      const takes = `no value: the options are ${[...NAMES].join(', ')}`
      throw new FST_PROX_INVALID_OPTION(name, takes, kindOf(options[name as never]))
    }
  }
  const proxyHost = string('proxyHost', options.proxyHost, 'fastify-prox')
  const downloadHost = options.downloadHost === false ? null : string('downloadHost', options.downloadHost, proxyHost)
  return {
    resolver: resolver(options.resolver),
    proxyHost,
    downloadHost,
    proxyApps: proxyApps(options.proxyApps),
    ca: object('ca', options.ca) as CertificateAuthorityOptions | CertificateAuthority,
    websockets: boolean('websockets', options.websockets),
    http2: boolean('http2', options.http2),
    tls: object('tls', options.tls),
    keyLogFile: options.keyLogFile === undefined ? null : string('keyLogFile', options.keyLogFile, ''),
    onConnect: onConnect(options.onConnect),
    timeouts: numbers('timeouts', options.timeouts, TIMEOUTS, milliseconds),
    limits: numbers('limits', options.limits, LIMITS, count),
    keepAliveMax: options.keepAliveMax === undefined ? Infinity : count('keepAliveMax', options.keepAliveMax)
  }
}

function resolver (value: FastifyProxOptions['resolver']): ProxyResolver {
  if (typeof value !== 'function') return fixedResolver(value)
  if (value.requireAuth !== undefined && typeof value.requireAuth !== 'function') {
    throw new FST_PROX_INVALID_OPTION('resolver.requireAuth', 'a function', kindOf(value.requireAuth))
  }
  return value
}

function proxyApps (value: FastifyProxOptions['proxyApps']): Settings['proxyApps'] {
  const apps = Object.entries(object('proxyApps', value))
  for (const [name, app] of apps) {
    if (app !== null && typeof app !== 'function') {
      throw new FST_PROX_INVALID_OPTION(`proxyApps['${name}']`, 'a plugin, or null for a further name of the application', kindOf(app))
    }
  }
  return apps
}

function onConnect (value: FastifyProxOptions['onConnect']): OnConnect | undefined {
  if (value !== undefined && typeof value !== 'function') throw new FST_PROX_INVALID_OPTION('onConnect', 'a function', kindOf(value))
  return value
}

function string (name: string, value: unknown, preset: string): string {
  if (value === undefined) return preset
  if (typeof value !== 'string' || value === '') throw new FST_PROX_INVALID_OPTION(name, 'a string that is not empty', show(value))
  return value
}

function boolean (name: string, value: unknown): boolean {
  if (value === undefined) return true
  if (typeof value !== 'boolean') throw new FST_PROX_INVALID_OPTION(name, 'true or false', show(value))
  return value
}

function object<T extends object> (name: string, value: T | undefined): T | Record<string, never> {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FST_PROX_INVALID_OPTION(name, 'an object', kindOf(value))
  }
  return value
}

function numbers<T extends Record<keyof T, number>> (name: string, value: Partial<T> | undefined, presets: T, read: (name: string, value: unknown) => number): T {
  const result: T = { ...presets }
  for (const [key, number] of Object.entries(object(name, value))) {
    if (!Object.hasOwn(presets, key)) throw new FST_PROX_INVALID_OPTION(`${name}.${key}`, `no value: there are ${Object.keys(presets).join(', ')}`, show(number))
    if (number !== undefined) result[key as keyof T] = read(`${name}.${key}`, number) as T[keyof T]
  }
  return result
}

function milliseconds (name: string, value: unknown): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > LONGEST_TIMEOUT) {
    throw new FST_PROX_INVALID_OPTION(name, `whole milliseconds from 0 to ${LONGEST_TIMEOUT}`, show(value))
  }
  return value as number
}

function count (name: string, value: unknown): number {
  if (value !== Infinity && (!Number.isInteger(value) || (value as number) < 1)) {
    throw new FST_PROX_INVALID_OPTION(name, 'a whole number from 1, or Infinity', show(value))
  }
  return value as number
}
