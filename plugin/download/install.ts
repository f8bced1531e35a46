/** The page's first section: the file for the visitor's platform, and how every platform comes to trust it. */
import { createHash } from 'node:crypto'
import type { PublicCertificate } from './certificate'
import { lines, row } from './html'
import type { Platform } from './platform'
import type { Markup } from './text'
import { markup } from './text'

export const PEM = 'fastify-prox-ca.pem'
const CER = 'fastify-prox-ca.cer'
const NSS = 'certutil -d sql:$HOME/.pki/nssdb'

interface Instructions {
  readonly name: string
  /** Where the file is, under `/download/`. */
  readonly file: 'pem' | 'cer' | 'mobileconfig'
  readonly body: Markup
}

const FILES = { pem: 'PEM file', cer: 'DER file', mobileconfig: 'Apple profile' }

/** @param platform the visitor's, whose instructions come first and open, and whose file is the one to take */
export function installSection (ca: PublicCertificate, platform: Platform | null): Markup {
  const all = instructions(ca)
  const first = platform === null ? [] : [platform]
  const rest = (Object.keys(all) as Platform[]).filter((other) => other !== platform)
  const { name, file } = platform === null ? { name: null, file: 'pem' as const } : all[platform]
  return markup`<h2 id="install">Install the certificate</h2>
<p class="take">
<a class="button" href="/download/${file}">Download for ${name ?? 'most systems'} <span>${FILES[file]}</span></a>
<a class="other" href="#files">Other files</a></p>
<p class="note">Read <a href="#security">what you trust it with</a> first, and compare <a href="#certificate">the
fingerprint</a>.</p>
<div class="rows">
${[...first, ...rest].map((each) => row(all[each].name, all[each].body, each === platform))}</div>`
}

function removal (body: Markup): Markup {
  return markup`<h3>To remove it again</h3>
${body}`
}

function instructions (ca: PublicCertificate): Record<Platform, Instructions> {
  const sha1 = createHash('sha1').update(ca.certificateDer).digest('hex')
  const sha256 = ca.fingerprint256.replaceAll(':', '')
  return {
    macos: {
      name: 'macOS',
      file: 'pem',
      body: markup`<p>Download the <a href="/download/pem">PEM file</a>, then, in its folder:</p>
${lines(`sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${PEM}`)}
<p>Or open it in Keychain Access, double-click the certificate there and choose Trust › Always Trust. Safari, Chrome
and, since version 120, Firefox follow the keychain. An iPad may pass for a Mac: see iPhone and iPad.</p>
${removal(lines(`sudo security delete-certificate -t -Z ${sha256} /Library/Keychains/System.keychain`))}`
    },
    windows: {
      name: 'Windows',
      file: 'cer',
      body: markup`<p>Download the <a href="/download/cer">DER file</a>, then, in its folder, for your own account (no
administrator needed):</p>
${lines(`certutil -user -addstore Root ${CER}`)}
<p>Or double-click the file: Install Certificate › Current User › Place all certificates in the following store ›
Trusted Root Certification Authorities. Edge, Chrome and, since version 120, Firefox follow that store.</p>
${removal(lines(`certutil -user -delstore Root ${sha1}`))}`
    },
    linux: {
      name: 'Linux',
      file: 'pem',
      body: markup`<p>Browsers on Linux keep lists of their own: see Firefox and Chromium. For everything else, download
the <a href="/download/pem">PEM file</a>, then, in its folder, on Debian and Ubuntu:</p>
${lines(
    `sudo cp ${PEM} /usr/local/share/ca-certificates/fastify-prox-ca.crt`,
    'sudo update-ca-certificates'
  )}
<p>On Fedora and RHEL:</p>
${lines(`sudo cp ${PEM} /etc/pki/ca-trust/source/anchors/`, 'sudo update-ca-trust')}
${removal(markup`<p>Debian and Ubuntu, then Fedora and RHEL:</p>
${lines('sudo rm /usr/local/share/ca-certificates/fastify-prox-ca.crt', 'sudo update-ca-certificates --fresh')}
${lines(`sudo rm /etc/pki/ca-trust/source/anchors/${PEM}`, 'sudo update-ca-trust')}`)}`
    },
    ios: {
      name: 'iPhone and iPad',
      file: 'mobileconfig',
      body: markup`<ol>
<li>Open this page in Safari, tap <a href="/download/mobileconfig">Apple profile</a> and allow it.</li>
<li>Settings › General › VPN &amp; Device Management: choose the downloaded profile and install it.</li>
<li>Settings › General › About › Certificate Trust Settings: turn on full trust for this CA.</li>
</ol>
${removal(markup`<p>Settings › General › VPN &amp; Device Management: choose the profile, then Remove
Profile.</p>`)}`
    },
    android: {
      name: 'Android',
      file: 'cer',
      body: markup`<ol>
<li>Download the <a href="/download/cer">DER file</a>.</li>
<li>Settings › Security &amp; privacy › More security &amp; privacy › Encryption &amp; credentials › Install a
certificate › CA certificate: choose the file. Names differ by maker: search the settings for “CA certificate”.</li>
</ol>
<p>Chrome then trusts it. Firefox does after Settings › About Firefox, five taps on the logo, and Secret Settings › Use
third party CA certificates. Other apps do only if their makers chose to trust user certificates.</p>
${removal(markup`<p>At the same place, User credentials: choose it, then Remove.</p>`)}`
    },
    firefox: {
      name: 'Firefox',
      file: 'pem',
      body: markup`<ol>
<li>Download the <a href="/download/pem">PEM file</a>. (Firefox may ask at once whether to trust it; then that is
all.)</li>
<li>Settings › Privacy &amp; Security › Certificates › View Certificates › Authorities › Import.</li>
<li>Tick “Trust this CA to identify websites”.</li>
</ol>
${removal(markup`<p>In the same list, choose it, then Delete or Distrust.</p>`)}`
    },
    chromium: {
      name: 'Chromium and Chrome',
      file: 'pem',
      body: markup`<p>On macOS and Windows they follow the system. On Linux, download the
<a href="/download/pem">PEM file</a>, open <code>chrome://certificate-manager</code>, Local certificates › Installed by
you › Trusted Certificates › Import; or, in its folder, with certutil (package libnss3-tools):</p>
${lines(`mkdir -p $HOME/.pki/nssdb && ${NSS} -A -t C,, -n fastify-prox -i ${PEM}`)}
${removal(lines(`${NSS} -D -n fastify-prox`))}`
    }
  }
}
