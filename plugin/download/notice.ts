/** What the server tells those who ask it directly for what is there through the proxy alone. */
import type { ProxyAddress } from './address'
import { layout, lines } from './html'
import { PEM } from './install'
import { markup, quoteShell } from './text'

export interface NoticeOptions {
  /** The download host. */
  readonly host: string
  readonly proxy: ProxyAddress
}

/** For a browser that asked the server itself for what only the proxy gives. */
export function noticePage ({ host, proxy }: NoticeOptions): string {
  const page = `http://${host}/download`
  return layout('This is a proxy', markup`<main>
<h1>This is a proxy, and you asked it directly</h1>
<p class="lead">Nothing is broken. The page about its certificate is there for those who use it as their proxy.</p>
<h2>Set up your browser or device</h2>
<ol>
<li>In the proxy settings of your browser or system (on a phone, those of its Wi-Fi network), enter this address for
HTTP and for HTTPS:
${lines(proxy.authority)}
or the address of its proxy auto-configuration (PAC) file:
${lines(`${proxy.url}/proxy.pac`)}</li>
<li>Then open <a href="${page}">${page}</a>. If it does not load, the proxy is not in use.</li>
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
