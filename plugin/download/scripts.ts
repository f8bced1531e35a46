/** What programs read to find the proxy and to trust its CA: shell lines, and a proxy auto-configuration file. */
import { createHash } from 'node:crypto'
import type { ProxyCredentials } from '../../types/options'
import { CA_VARIABLES, NO_PROXY_VARIABLES, NODE_SWITCH, PROXY_VARIABLES } from '../clients/proxy-environment'
import type { ProxyAddress } from './address'
import { urlWithCredentials } from './address'
import type { PublicCertificate } from './certificate'
import { quoteShell } from './text'

/**
 * Lines for a POSIX shell to `eval`: they write the certificates to a file and point the usual variables at the
 * proxy and at that file. The file is in the user's own cache directory, because in one that others may write to,
 * somebody else could put a CA of theirs in its place. Nothing is set when it cannot be written.
 * @param credentials what the client's programs are to send to the proxy; `null`: nothing
 */
export function environmentScript (
  ca: PublicCertificate, proxy: ProxyAddress, credentials: ProxyCredentials | null
): string {
  const url = quoteShell(urlWithCredentials(proxy, credentials))
  const digest = createHash('sha256').update(Buffer.concat(ca.certificates.map(({ der }) => der))).digest('hex')
  const exports = [
    ...PROXY_VARIABLES.map((name) => `  export ${name}=${url}`),
    // What is there already may keep hosts from the proxy, localhost above all.
    ...NO_PROXY_VARIABLES.map((name) => `  export ${name}=''`),
    `  export ${NODE_SWITCH}=1`,
    ...CA_VARIABLES.map((name) => `  export ${name}="$FASTIFY_PROX_CA"`)
  ]
  return `# For a POSIX shell, to eval: its programs use this proxy and trust its CA (in place of the public ones).
# To undo: unset ${[...PROXY_VARIABLES, ...NO_PROXY_VARIABLES, NODE_SWITCH, ...CA_VARIABLES].join(' ')}
FASTIFY_PROX_CA="\${XDG_CACHE_HOME:-\${HOME:-}/.cache}"/fastify-prox/ca-${digest.slice(0, 16)}.pem
if mkdir -p "\${FASTIFY_PROX_CA%/*}" &&
  printf '%s\\n' ${quoteShell(ca.trustedPem.trim())} >| "$FASTIFY_PROX_CA.$$" &&
  mv -f "$FASTIFY_PROX_CA.$$" "$FASTIFY_PROX_CA"
then
${exports.join('\n')}
else
  echo "fastify-prox: $FASTIFY_PROX_CA could not be written, so nothing is set" >&2
fi
`
}

/** A proxy auto-configuration file: everything goes through the proxy, and nowhere else when it is down. */
export function autoConfiguration (proxy: ProxyAddress): string {
  const route = `${proxy.scheme === 'https' ? 'HTTPS' : 'PROXY'} ${proxy.authority}`
  return `function FindProxyForURL (url, host) {
  return ${JSON.stringify(route)}
}
`
}
