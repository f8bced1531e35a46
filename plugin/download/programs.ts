/** The page's section on programs that are started from a shell: what points each at the proxy and the CA. */
import type { ProxyAddress } from './address'
import { urlWithCredentials } from './address'
import { lines, row } from './html'
import { PEM } from './install'
import { isMobile } from './platform'
import type { Platform } from './platform'
import type { Markup } from './text'
import { markup, quoteShell } from './text'

export interface ProgramsOptions {
  /** The download host. */
  readonly host: string
  readonly proxy: ProxyAddress
  /** The user that the visitor's credentials name; `null`: the proxy was given none. */
  readonly username: string | null
  readonly platform: Platform | null
  /** SHA-256 of the public key of the host's certificate, in base64; `null`: it has none. */
  readonly keyHash: string | null
}

/** What stands where the password goes: the page shows nobody's. */
const PASSWORD = 'PASSWORD'

/** The section, folded where there is no shell. */
export function programsSection (options: ProgramsOptions): Markup {
  const { host, proxy, username, platform } = options
  const proxyUrl = urlWithCredentials(proxy, username === null ? null : { username, password: PASSWORD })
  const url = quoteShell(proxyUrl)
  const download = (file: string): string => quoteShell(`http://${host}/download/${file}`)
  const body = markup`<p>One line sets up a shell and what is started from it: the proxy variables, and the CA for the
programs below. It ends with the shell.</p>
${lines(`eval "$(curl -fsS -x ${url} ${download('env')})"`)}
${username === null
    ? ''
    : markup`<p>Write your password, percent-encoded, in place of <code>${PASSWORD}</code>.</p>`}
<p>To set up a single program, fetch the certificate first:</p>
${lines(`curl -x ${url} -o ${PEM} ${download('pem')}`)}
<div class="rows">
${rows(options, url, proxyUrl, download)}
</div>`
  return markup`<h2 id="programs">Command line and languages</h2>
${isMobile(platform)
    ? markup`<details class="folded">
<summary>Lines for the shell of a computer</summary>
${body}
</details>`
    : body}`
}

function rows (
  { host, proxy, keyHash }: ProgramsOptions, url: string, proxyUrl: string, download: (file: string) => string
): Markup {
  const variable = `HTTPS_PROXY=${url}`
  return markup`${row('curl', lines(`curl --cacert ${PEM} -x ${url} https://example.com/`))}
${row('Node.js', markup`${lines(`NODE_EXTRA_CA_CERTS=${PEM} NODE_USE_ENV_PROXY=1 ${variable} node app.js`)}
<p>Node.js reads the proxy variables from 22.21 and 24.5 on; before that, hand the proxy to your HTTP client (undici’s
<code>EnvHttpProxyAgent</code>, <code>https-proxy-agent</code>).</p>`)}
${row('Python', markup`${lines(`REQUESTS_CA_BUNDLE=${PEM} SSL_CERT_FILE=${PEM} ${variable} python app.py`)}
<p>The first variable is for requests, the second for ssl, urllib and httpx.</p>`)}
${row('Java', markup`<p>The PKCS#12 file is a trust store, with the empty password:</p>
${lines(
    `curl -x ${url} -o fastify-prox-ca.p12 ${download('p12')}`,
    'java -Djavax.net.ssl.trustStore=fastify-prox-ca.p12 -Djavax.net.ssl.trustStorePassword= ' +
    `-Dhttps.proxyHost=${proxy.hostname} -Dhttps.proxyPort=${proxy.port} -jar app.jar`
  )}
<p>It stands in for Java’s own list, for that program alone.</p>`)}
${row('Go', markup`${lines(`SSL_CERT_FILE=${PEM} ${variable} ./app`)}
<p>On Linux; on macOS and Windows, Go follows the system.</p>`)}
${row('git', lines(`git -c http.proxy=${url} -c http.sslCAInfo=${PEM} clone https://example.com/repository.git`))}
${keyHash === null ? '' : chromiumRow(proxy, keyHash)}
${row('PowerShell', lines(
  `curl.exe -x ${quotePowerShell(proxyUrl)} -o ${PEM} http://${host}/download/pem`,
  `$env:HTTP_PROXY = $env:HTTPS_PROXY = ${quotePowerShell(proxyUrl)}`,
  '$env:NODE_USE_ENV_PROXY = 1',
  `$env:NODE_EXTRA_CA_CERTS = $env:SSL_CERT_FILE = $env:REQUESTS_CA_BUNDLE = "$PWD\\${PEM}"`
))}
${row('Proxy auto-configuration', markup`<p>Systems and browsers that take the address of a PAC file can read it from
the proxy itself, before they use it:</p>
${lines(`${proxy.url}/proxy.pac`)}`)}`
}

/** Chromium compares the flag with what the server sends, which the certificate of the CA is no part of. */
function chromiumRow (proxy: ProxyAddress, keyHash: string): Markup {
  return row('Chromium in tests', markup`<p>A browser that is started for a test takes the certificates of this proxy
without any installation:</p>
${lines(
    `chromium --user-data-dir="$(mktemp -d)" --proxy-server=${proxy.scheme}://${proxy.authority} ` +
    `--ignore-certificate-errors-spki-list=${keyHash}`
  )}
<p>The hash is that of the key of the certificates, which this process has until it ends.</p>`)
}

/** One literal string for PowerShell (about_Quoting_Rules). */
function quotePowerShell (text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
