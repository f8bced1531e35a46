/** Chooses the upstream proxy of a target. */
import type { DialTarget, UpstreamProxy } from '../types/net'
import { FST_PROX_INVALID_OPTION, show } from '../plugin/errors'

const TAKES = '\'env\', the URL of an http, https, socks5 or socks5h proxy, false or a function'
const SCHEMES = new Set(['http:', 'https:', 'socks5:', 'socks5h:'])

/** What the environment chooses by. */
export interface SchemeTarget extends DialTarget {
  readonly scheme: 'http' | 'https'
}

/** @returns the proxy, or `null` for a direct connection */
export type ChooseProxy<Target> = (target: Target) => Promise<URL | null>

/**
 * @returns `null`: no target has one
 * @throws FST_PROX_INVALID_OPTION, at once for a fixed proxy, and for what a function answers when it does
 */
export function proxyChooser<Target extends SchemeTarget> (
  via: UpstreamProxy<Target> | undefined
): ChooseProxy<Target> | null {
  if (via === undefined || via === false) return null
  if (via === 'env') return async (target) => fromEnvironment(target, process.env)
  if (typeof via === 'function') {
    return async (target) => {
      const chosen = await via(target)
      return chosen === null || chosen === undefined ? null : proxyUrl(chosen)
    }
  }
  const proxy = proxyUrl(via)
  return async () => proxy
}

function proxyUrl (value: unknown): URL {
  const text = value instanceof URL ? value.href : value
  if (typeof text !== 'string' || !URL.canParse(text)) throw new FST_PROX_INVALID_OPTION('via', TAKES, show(value))
  const url = new URL(text)
  if (!SCHEMES.has(url.protocol) || url.hostname === '') throw new FST_PROX_INVALID_OPTION('via', TAKES, show(value))
  return url
}

/** The variables as undici's EnvHttpProxyAgent reads them: lower case first, `HTTP_PROXY` for https too. */
export function fromEnvironment ({ scheme, hostname, port }: SchemeTarget, env: NodeJS.ProcessEnv): URL | null {
  const forHttp = (env.http_proxy ?? env.HTTP_PROXY) || undefined
  const forHttps = (env.https_proxy ?? env.HTTPS_PROXY) || undefined
  const proxy = scheme === 'https' ? forHttps ?? forHttp : forHttp
  if (proxy === undefined || isExcepted(hostname.toLowerCase(), port, env.no_proxy ?? env.NO_PROXY ?? '')) return null
  return proxyUrl(proxy)
}

/** Whether `NO_PROXY` has the host, a name above it, or `*`; an entry may name a port. */
function isExcepted (hostname: string, port: number, list: string): boolean {
  if (list.trim() === '*') return true
  return list.split(/[,\s]+/).filter((entry) => entry !== '').some((entry) => {
    const match = /^(.+?)(?::(\d+))?$/.exec(/^[^[]*:[^:]*:/.test(entry) ? `[${entry}]` : entry)!
    if (match[2] !== undefined && Number(match[2]) !== port) return false
    const name = match[1]!.replace(/^\*?\./, '').replace(/^\[(.*)\]$/, '$1').toLowerCase()
    return hostname === name || hostname.endsWith(`.${name}`)
  })
}

/** A proxy for messages and records: without credentials. */
export function displayed ({ protocol, host }: URL): string {
  return `${protocol}//${host}`
}

/** `Proxy-Authorization` for the credentials in a URL; `null`: there are none. */
export function proxyAuthorization ({ username, password }: URL): string | null {
  if (username === '' && password === '') return null
  return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`
}
