/** The pages for people: the certificate with what to do about it, and the notice for those who missed the proxy. */
import { createHash } from 'node:crypto'
import type { ProxyAddress } from './address'
import type { PublicCertificate } from './certificate'
import { STYLE, styleHash } from './style'
import { Markup, markup, quoteShell } from './text'

/** What the pages may load: their own style, at most one style sheet of the download host, and nothing else. */
export function contentSecurityPolicy (stylesheet = ''): string {
  return [
    "default-src 'none'",
    `style-src ${styleHash(STYLE)} ${stylesheet}`.trim(),
    'img-src data:', // the empty icon, in place of a request for /favicon.ico
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'"
  ].join('; ')
}

function layout (title: string, body: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<style>${new Markup(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>
`.toString()
}

/**
 * Lines to copy: a click selects them all. What a narrow window wraps is set in, and wraps between words, where a
 * browser would also do so after any hyphen.
 */
function lines (...commands: string[]): Markup {
  const words = (command: string): Markup[] =>
    command.split(' ').map((word, i) => markup`${i === 0 ? '' : ' '}<i>${word}</i>`)
  return markup`<pre><code>${commands.map((command) => markup`<span>${words(command)}\n</span>`)}</code></pre>`
}

function row (summary: string, body: Markup): Markup {
  return markup`<details>
<summary>${summary}</summary>
<div>
${body}
</div>
</details>
`
}

export interface CertificatePageOptions {
  readonly ca: PublicCertificate
  /** The download host. */
  readonly host: string
  readonly proxy: ProxyAddress
  /** The page itself came through TLS with a certificate of this CA. */
  readonly secure: boolean
  /** Where `TRUSTED_STYLE` is, by https. */
  readonly stylesheet: string
}

/** The page of the download host. */
export function certificatePage (options: CertificatePageOptions): string {
  const { ca, host } = options
  return layout(`${ca.name} · ${host}`, markup`<main>
<h1>Trust this proxy</h1>
<p class="lead">This proxy answers in place of the sites you ask for. For https it signs their certificates with a
certificate authority (CA) of its own, and browsers and programs refuse them until they trust that CA.</p>
${status(options)}
${certificate(options)}
${caution()}
${platforms(options)}
${programs(options)}
</main>
<footer>Served by this proxy at ${host}. Nothing on this page comes from elsewhere.</footer>
${options.secure ? '' : markup`<link rel="stylesheet" href="${options.stylesheet}">`}`)
}

function status ({ host, secure }: CertificatePageOptions): Markup {
  if (secure) {
    return markup`<div class="status good" role="status">
<p><b>Trusted by this browser</b> if it opened this page without a warning: the page came over https, signed by
this CA.</p>
</div>`
  }
  return markup`<div class="probe" role="status">
<div class="status wait">
<p><b>Not trusted yet.</b> This browser does not accept https://${host} through this proxy. Install the certificate
below, then reload this page.</p>
</div>
<div class="status good">
<p><b>Trusted by this browser.</b> It accepts https://${host}, signed by this CA.
<span class="note">An exception that you made for this host, past a warning, looks the same from here.</span></p>
</div>
</div>`
}

function certificate ({ ca }: CertificatePageOptions): Markup {
  // A line may break after any colon; text copied from here has no break in it.
  const fingerprint = markup`${ca.fingerprint256.split(':').map((byte, i) => i === 0 ? markup`${byte}` : markup`:<wbr>${byte}`)}`
  return markup`<h2 id="certificate">The certificate</h2>
<dl>
<div><dt>Name</dt><dd>${ca.name}</dd></div>
<div><dt>SHA-256 fingerprint</dt><dd><code>${fingerprint}</code></dd></div>
<div><dt>Valid until</dt><dd><time datetime="${ca.notAfter.toISOString()}">${longDate(ca.notAfter)}</time></dd></div>
</dl>
<ul class="files">
<li><a href="/download/pem"><b>PEM</b><span>Linux, Firefox, most programs</span></a></li>
<li><a href="/download/cer"><b>DER</b><span>Windows, Android</span></a></li>
<li><a href="/download/p12"><b>PKCS#12</b><span>Java and what asks for .p12</span></a></li>
<li><a href="/download/mobileconfig"><b>Apple profile</b><span>iPhone, iPad, Mac</span></a></li>
</ul>
<p>This CA is unique to this server: fastify-prox brings none along, and no other server has this one’s key unless
somebody gave it to them. The files hold the certificate alone, never the private key.</p>`
}

function longDate (date: Date): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(date)
}

const PEM = 'fastify-prox-ca.pem'
const CER = 'fastify-prox-ca.cer'
const NSS = 'certutil -d sql:$HOME/.pki/nssdb'

function platforms ({ ca, host }: CertificatePageOptions): Markup {
  const sha1 = createHash('sha1').update(ca.certificateDer).digest('hex')
  const sha256 = ca.fingerprint256.replaceAll(':', '')
  return markup`<h2 id="install">Browsers and systems</h2>
<div class="rows">
${row('macOS', markup`<p>Download the PEM file, then, in its folder:</p>
${lines(`sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${PEM}`)}
<p>Or open it in Keychain Access, double-click the certificate there and choose Trust › Always Trust. Safari, Chrome
and, since version 120, Firefox follow the keychain.</p>
${removal(lines(`sudo security delete-certificate -t -Z ${sha256} /Library/Keychains/System.keychain`))}`)}
${row('Windows', markup`<p>Download the DER file, then, in its folder, for your own account (no administrator needed):</p>
${lines(`certutil -user -addstore Root ${CER}`)}
<p>Or double-click the file: Install Certificate › Current User › Place all certificates in the following store ›
Trusted Root Certification Authorities. Edge, Chrome and, since version 120, Firefox follow that store.</p>
${removal(lines(`certutil -user -delstore Root ${sha1}`))}`)}
${row('Linux', markup`<p>Browsers on Linux keep lists of their own: see Firefox and Chromium. For everything else, download the PEM
file, then, in its folder, on Debian and Ubuntu:</p>
${lines(`sudo cp ${PEM} /usr/local/share/ca-certificates/fastify-prox-ca.crt`, 'sudo update-ca-certificates')}
<p>On Fedora and RHEL:</p>
${lines(`sudo cp ${PEM} /etc/pki/ca-trust/source/anchors/`, 'sudo update-ca-trust')}
${removal(markup`<p>Debian and Ubuntu, then Fedora and RHEL:</p>
${lines('sudo rm /usr/local/share/ca-certificates/fastify-prox-ca.crt', 'sudo update-ca-certificates --fresh')}
${lines(`sudo rm /etc/pki/ca-trust/source/anchors/${PEM}`, 'sudo update-ca-trust')}`)}`)}
${row('iPhone and iPad', markup`<ol>
<li>Open this page in Safari, tap <a href="/download/mobileconfig">Apple profile</a> and allow it.</li>
<li>Settings › General › VPN &amp; Device Management: choose the downloaded profile and install it.</li>
<li>Settings › General › About › Certificate Trust Settings: turn on full trust for this CA.</li>
</ol>
${removal(markup`<p>Settings › General › VPN &amp; Device Management: choose the profile, then Remove Profile.</p>`)}`)}
${row('Android', markup`<ol>
<li>Download the <a href="/download/cer">DER file</a>.</li>
<li>Settings › Security &amp; privacy › More security &amp; privacy › Encryption &amp; credentials › Install a certificate ›
CA certificate: choose the file. Names differ by maker: search the settings for “CA certificate”.</li>
</ol>
<p>Chrome then trusts it. Firefox does after Settings › About Firefox, five taps on the logo, and Secret Settings › Use
third party CA certificates. Other apps do only if their makers chose to trust user certificates.</p>
${removal(markup`<p>At the same place, User credentials: choose it, then Remove.</p>`)}`)}
${row('Firefox', markup`<ol>
<li>Download the <a href="/download/pem">PEM file</a>. (Firefox may ask at once whether to trust it; then that is all.)</li>
<li>Settings › Privacy &amp; Security › Certificates › View Certificates › Authorities › Import.</li>
<li>Tick “Trust this CA to identify websites”.</li>
</ol>
${removal(markup`<p>In the same list, choose it, then Delete or Distrust.</p>`)}`)}
${row('Chromium and Chrome', markup`<p>On macOS and Windows they follow the system. On Linux, open
<code>chrome://certificate-manager</code>, Local certificates › Installed by you › Trusted Certificates › Import; or, with
certutil (package libnss3-tools):</p>
${lines(`mkdir -p $HOME/.pki/nssdb && ${NSS} -A -t C,, -n fastify-prox -i ${PEM}`)}
${removal(lines(`${NSS} -D -n fastify-prox`))}`)}
</div>`
}

function removal (body: Markup): Markup {
  return markup`<h3>To remove it again</h3>
${body}`
}

function programs ({ host, proxy }: CertificatePageOptions): Markup {
  const url = quoteShell(proxy.url)
  const download = (file: string): string => quoteShell(`http://${host}/download/${file}`)
  const get = `curl -x ${url} -o ${PEM} ${download('pem')}`
  const variable = `HTTPS_PROXY=${url}`
  return markup`<h2 id="programs">Command line and languages</h2>
<p>One line sets up a shell and what is started from it: the proxy variables, and the CA for the programs below. It ends
with the shell.</p>
${lines(`eval "$(curl -fsS -x ${url} ${download('env')})"`)}
<p>To set up a single program, fetch the certificate first:</p>
${lines(get)}
<div class="rows">
${row('curl', lines(`curl --cacert ${PEM} -x ${url} https://example.com/`))}
${row('Node.js', markup`${lines(`NODE_EXTRA_CA_CERTS=${PEM} NODE_USE_ENV_PROXY=1 ${variable} node app.js`)}
<p>Node.js reads the proxy variables from 22.21 and 24.5 on; before that, hand the proxy to your HTTP client (undici’s
<code>EnvHttpProxyAgent</code>, <code>https-proxy-agent</code>).</p>`)}
${row('Python', markup`${lines(`REQUESTS_CA_BUNDLE=${PEM} SSL_CERT_FILE=${PEM} ${variable} python app.py`)}
<p>The first variable is for requests, the second for ssl, urllib and httpx.</p>`)}
${row('Java', markup`<p>The PKCS#12 file is a trust store, with the empty password:</p>
${lines(
    `curl -x ${url} -o fastify-prox-ca.p12 ${download('p12')}`,
    `java -Djavax.net.ssl.trustStore=fastify-prox-ca.p12 -Djavax.net.ssl.trustStorePassword= -Dhttps.proxyHost=${proxy.hostname} -Dhttps.proxyPort=${proxy.port} -jar app.jar`
  )}
<p>It stands in for Java’s own list, for that program alone.</p>`)}
${row('Go', markup`${lines(`SSL_CERT_FILE=${PEM} ${variable} ./app`)}
<p>On Linux; on macOS and Windows, Go follows the system.</p>`)}
${row('git', lines(`git -c http.proxy=${url} -c http.sslCAInfo=${PEM} clone https://example.com/repository.git`))}
${row('PowerShell', lines(
  `curl.exe -x ${proxy.url} -o ${PEM} http://${host}/download/pem`,
  `$env:HTTP_PROXY = $env:HTTPS_PROXY = '${proxy.url}'`,
  '$env:NODE_USE_ENV_PROXY = 1',
  `$env:NODE_EXTRA_CA_CERTS = $env:SSL_CERT_FILE = $env:REQUESTS_CA_BUNDLE = "$PWD\\${PEM}"`
))}
${row('Proxy auto-configuration', markup`<p>Systems and browsers that take the address of a PAC file can read it from the proxy
itself, before they use it:</p>
${lines(`${proxy.url}/proxy.pac`)}`)}
</div>`
}

function caution (): Markup {
  return markup`<h2 id="security">Before you trust it</h2>
<ul>
<li>Whoever has this CA’s private key can read and change what a client that trusts it does over https. Trust it only if
you know who runs this proxy, and compare the fingerprint with the one they tell you: this page may have reached you
unencrypted.</li>
<li>Keep its reach small: one program or one browser profile rather than your account, your account rather than the
whole system.</li>
<li>Remove it when you are done; below, every system says how.</li>
</ul>`
}

export interface NoticeOptions {
  /** The download host. */
  readonly host: string
  readonly proxy: ProxyAddress
}

/** For a browser that asked the server itself for what only the proxy gives. */
export function noticePage ({ host, proxy }: NoticeOptions): string {
  return layout('This is a proxy', markup`<main>
<h1>This is a proxy, and you asked it directly</h1>
<p class="lead">Nothing is broken. The page about its certificate is there for those who use it as their proxy.</p>
<h2>Set up your browser</h2>
<ol>
<li>In the proxy settings of your browser or system, enter this address for HTTP and for HTTPS:
${lines(proxy.authority)}
or the address of its proxy auto-configuration (PAC) file:
${lines(`${proxy.url}/proxy.pac`)}</li>
<li>Then open <a href="http://${host}/download">http://${host}/download</a>. If it does not load, the proxy is not in use.</li>
</ol>
<h2>Or fetch the certificate from a shell</h2>
${lines(certificateLine({ host, proxy }))}
</main>`)
}

/** The same for programs, as plain text. */
export function noticeText (options: NoticeOptions): string {
  return `This is a proxy, and you asked it directly. Nothing is broken: what you asked for is there through the proxy.

  ${certificateLine(options)}
`
}

function certificateLine ({ host, proxy }: NoticeOptions): string {
  return `curl -x ${quoteShell(proxy.url)} -o ${PEM} ${quoteShell(`http://${host}/download/pem`)}`
}
