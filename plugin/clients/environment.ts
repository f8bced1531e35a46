/** The environment variables that programs read to find a proxy and the CA that it signs with. */
import type { ProxyEnvironment, ProxyVariable } from '../../types/clients'

/**
 * Each holds the URL of the proxy. Both cases are in use: curl, for one, reads `http_proxy` in lower case only. Those
 * of npm come before its configuration files.
 */
export const PROXY_VARIABLES = [
  'HTTP_PROXY', 'HTTPS_PROXY', 'WS_PROXY', 'WSS_PROXY', 'ALL_PROXY',
  'http_proxy', 'https_proxy', 'ws_proxy', 'wss_proxy', 'all_proxy',
  'npm_config_proxy', 'npm_config_https_proxy'
] as const satisfies readonly ProxyVariable[]

/** Each holds the hosts that are not for the proxy. */
export const NO_PROXY_VARIABLES =
  ['NO_PROXY', 'no_proxy', 'npm_config_noproxy'] as const satisfies readonly ProxyVariable[]

/** Where it is `1`, Node itself reads the proxy variables (since 22.21 and 24.5). */
export const NODE_SWITCH = 'NODE_USE_ENV_PROXY' satisfies ProxyVariable

/** Each holds the name of a PEM file. Node adds it to its own list; the others trust it alone. */
export const CA_VARIABLES = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE', // OpenSSL: Python, Ruby, PHP; and Go
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
  'AWS_CA_BUNDLE',
  'CARGO_HTTP_CAINFO',
  'DENO_CERT',
  'WEBSOCKET_CLIENT_CA_BUNDLE',
  'npm_config_cafile'
] as const satisfies readonly ProxyVariable[]

type Variable = (typeof PROXY_VARIABLES | typeof NO_PROXY_VARIABLES | typeof CA_VARIABLES)[number] | typeof NODE_SWITCH

/** @param file a PEM file with the certificate of the CA */
export function proxyEnvironment (proxyUrl: string, file: string): ProxyEnvironment {
  const variables: Array<readonly [name: Variable, value: string]> = [
    ...PROXY_VARIABLES.map((name) => [name, proxyUrl] as const),
    // What is there already may keep hosts from the proxy, localhost above all.
    ...NO_PROXY_VARIABLES.map((name) => [name, ''] as const),
    [NODE_SWITCH, '1'],
    ...CA_VARIABLES.map((name) => [name, file] as const)
  ]
  return Object.fromEntries(variables) as Record<Variable, string>
}
