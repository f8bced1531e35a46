/** The proxy environment: the variables that programs read to find a proxy and the CA that it signs with. */
import { join } from 'node:path'
import type { ProxyEnvironment, ProxyVariable } from '../../types/clients'

/**
 * Each holds the URL of the proxy. Both cases are in use: curl, for one, reads `http_proxy` in lower case only. Those
 * of npm and Yarn come before their configuration files.
 */
export const PROXY_VARIABLES = [
  'HTTP_PROXY', 'HTTPS_PROXY', 'WS_PROXY', 'WSS_PROXY', 'ALL_PROXY',
  'http_proxy', 'https_proxy', 'ws_proxy', 'wss_proxy', 'all_proxy',
  'npm_config_proxy', 'npm_config_https_proxy', 'YARN_HTTP_PROXY', 'YARN_HTTPS_PROXY'
] as const satisfies readonly ProxyVariable[]

/** Each holds the hosts that are not for the proxy. */
export const NO_PROXY_VARIABLES = [
  'NO_PROXY', 'no_proxy', 'npm_config_noproxy'
] as const satisfies readonly ProxyVariable[]

/** Where it is `1`, Node itself reads the proxy variables (since 22.21 and 24.5), and so does the preload. */
export const NODE_SWITCH = 'NODE_USE_ENV_PROXY' satisfies ProxyVariable

/** Each holds the name of a PEM file with certificates that the program trusts beside its own. */
const ADDED_CA_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'DENO_CERT'] as const satisfies readonly ProxyVariable[]

/** Each holds the name of a PEM file with the only certificates that the program trusts. */
const ONLY_CA_VARIABLES = [
  'SSL_CERT_FILE', // OpenSSL: Python, Ruby, PHP's streams; and Go
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'AWS_CA_BUNDLE',
  'CARGO_HTTP_CAINFO',
  'WEBSOCKET_CLIENT_CA_BUNDLE',
  'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH',
  'npm_config_cafile',
  'YARN_HTTPS_CA_FILE_PATH'
] as const satisfies readonly ProxyVariable[]

/** Each holds the name of a PEM file with certificates that the program trusts. */
export const CA_VARIABLES = [...ADDED_CA_VARIABLES, ...ONLY_CA_VARIABLES] as const

type Variable = (typeof PROXY_VARIABLES | typeof NO_PROXY_VARIABLES | typeof CA_VARIABLES)[number] |
  typeof NODE_SWITCH | 'NODE_OPTIONS'

/** Leads every `http.Agent` and, in a Node that does not read the proxy variables, `fetch` to the proxy. */
const PRELOAD = join(__dirname, 'preload.cjs')

export interface EnvironmentSettings {
  /** With credentials, if any. */
  readonly proxyUrl: string
  /** Hosts that are not for the proxy. */
  readonly noProxy: readonly string[]
  /** A PEM file with the certificate of the CA. */
  readonly certificate: string
  /** A PEM file with all that a program is to trust. */
  readonly bundle: string
  /** What `NODE_OPTIONS` holds already. */
  readonly nodeOptions: string | undefined
}

export function proxyEnvironment (settings: EnvironmentSettings): ProxyEnvironment {
  const { proxyUrl, noProxy, certificate, bundle, nodeOptions } = settings
  const variables: Array<readonly [name: Variable, value: string]> = [
    ...PROXY_VARIABLES.map((name) => [name, proxyUrl] as const),
    // Empty as well: what is there already may keep hosts from the proxy, localhost above all.
    ...NO_PROXY_VARIABLES.map((name) => [name, noProxy.join(',')] as const),
    [NODE_SWITCH, '1'],
    ['NODE_OPTIONS', withPreload(nodeOptions)],
    ...ADDED_CA_VARIABLES.map((name) => [name, certificate] as const),
    ...ONLY_CA_VARIABLES.map((name) => [name, bundle] as const)
  ]
  return Object.fromEntries(variables) as Record<Variable, string>
}

/** Adds a file to load to the options of Node, once: this program may have been led to a proxy itself. */
export function withPreload (nodeOptions = '', file = PRELOAD): string {
  // Quoted where it has to be: Node reads the quotes, and not every other reader of NODE_OPTIONS does.
  const option = `--require ${/[\s"\\]/.test(file) ? JSON.stringify(file) : file}`
  return nodeOptions.includes(option) ? nodeOptions : `${nodeOptions} ${option}`.trimStart()
}
