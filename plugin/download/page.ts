/** The page of the download host: whether the visitor trusts the CA, how to, and what that means. */
import type { ProxyAddress } from './address'
import { isReachable } from './address'
import type { PublicCertificate, TrustedCertificate } from './certificate'
import { layout } from './html'
import { installSection } from './install'
import { isMobile } from './platform'
import type { Platform } from './platform'
import { programsSection } from './programs'
import { qrCode } from './qr'
import type { Markup } from './text'
import { markup } from './text'

export interface CertificatePageOptions {
  readonly ca: PublicCertificate
  /** The download host. */
  readonly host: string
  readonly proxy: ProxyAddress
  /** The visitor's. */
  readonly platform: Platform | null
  /** The user that the visitor's credentials name; `null`: the proxy was given none. */
  readonly username: string | null
  /** SHA-256 of the public key of the host's certificate, in base64; `null`: it has none. */
  readonly keyHash: string | null
  /** The page itself came through TLS with a certificate of this CA. */
  readonly secure: boolean
  /** Where `TRUSTED_STYLE` is, by https. */
  readonly stylesheet: string
}

export function certificatePage (options: CertificatePageOptions): string {
  const { ca, host, platform, secure, stylesheet } = options
  return layout(`${ca.name} · ${host}`, markup`<main>
<h1>Trust this proxy</h1>
<p class="lead">It answers in place of the sites you ask for, and signs their https certificates with a certificate
authority (CA) of its own. Browsers and programs refuse them until they trust that CA.</p>
${status(options)}
${installSection(ca, platform)}
${certificate(options)}
${caution()}
${devices(options)}
${programsSection(options)}
</main>
<footer>Served by this proxy at ${host}. Nothing on this page comes from elsewhere.</footer>
${secure ? '' : markup`<link rel="stylesheet" href="${stylesheet}">`}`)
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
<p><b>Not trusted yet.</b> This browser does not accept https://${host} through this proxy.
<a href="#install">Install the certificate</a>, then reload this page.</p>
</div>
<div class="status good">
<p><b>Trusted by this browser.</b> It accepts https://${host}, signed by this CA.
<span class="note">An exception that you made for this host, past a warning, looks the same from here.</span></p>
</div>
</div>`
}

function certificate ({ ca }: CertificatePageOptions): Markup {
  const [signing, ...others] = ca.certificates.map(facts)
  return markup`<h2 id="certificate">The certificate</h2>
${signing!}
${others.length === 0
    ? ''
    : markup`<h3 id="change">The CA is being changed: trust this one too</h3>
<p>What the proxy signs now, by the one above, it will sign by another one soon, or did until a short time ago. The
files below hold both, but for DER. Some programs take the first certificate of a file alone (certutil, keytool
-importcert): give them the other one by itself, as <a href="/download/pem/2">PEM</a> or
<a href="/download/cer/2">DER</a>.</p>
${others}`}
<ul class="files" id="files">
<li><a href="/download/pem"><b>PEM</b><span>Linux, Firefox, most programs</span></a></li>
<li><a href="/download/cer"><b>DER</b><span>Windows, Android</span></a></li>
<li><a href="/download/p12"><b>PKCS#12</b><span>Java and what asks for .p12</span></a></li>
<li><a href="/download/mobileconfig"><b>Apple profile</b><span>iPhone, iPad, Mac</span></a></li>
</ul>
<p>This CA is unique to this server: fastify-prox brings none along, and no other server has this one’s key unless
somebody gave it to them. The files hold the certificate alone, never the private key.</p>`
}

function facts ({ name, fingerprint256, notAfter }: TrustedCertificate): Markup {
  return markup`<dl>
<div><dt>Name</dt><dd>${name}</dd></div>
<div><dt>SHA-256 fingerprint</dt><dd><code class="fingerprint">${fingerprint(fingerprint256)}</code></dd></div>
<div><dt>Valid until</dt><dd><time datetime="${notAfter.toISOString()}">${longDate(notAfter)}</time></dd></div>
</dl>
`
}

/** Allows a line break after every eighth byte; a wide line takes 16. What is copied has no break in it. */
function fingerprint (text: string): Markup[] {
  return text.split(':').map((byte, i) => {
    if (i === 0) return markup`${byte}`
    return i % 8 === 0 ? markup`:<wbr>${byte}` : markup`:${byte}`
  })
}

function longDate (date: Date): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(date)
}

function caution (): Markup {
  return markup`<h2 id="security">Before you trust it</h2>
<ul>
<li>Whoever has this CA’s private key can read and change what a client that trusts it does over https. Trust it only if
you know who runs this proxy, and compare the fingerprint with the one they tell you: this page may have reached you
unencrypted.</li>
<li>Keep its reach small: one program or one browser profile rather than your account, your account rather than the
whole system.</li>
<li>Remove it when you are done: above, every system says how.</li>
</ul>`
}

/** How a phone comes to use the proxy, for a visitor who sits at a computer. */
function devices ({ proxy, platform }: CertificatePageOptions): Markup {
  if (isMobile(platform) || !isReachable(proxy)) return markup``
  const page = `${proxy.url}/download`
  return markup`<h2 id="devices">A phone or tablet</h2>
<div class="devices">
${qrCode(page, `QR code of ${page}`)}
<p>Scan this with a device in the same network. It opens <a href="${page}">${page}</a>, which says how the device comes
to use this proxy; then open this page there.</p>
</div>`
}
