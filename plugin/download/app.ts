/**
 * The proxy app of the download host: the CA certificate in every form that a client takes, a page that says what to
 * do with it, and what points programs at the proxy. It sees the public side of the CA alone.
 */
import { createHash, X509Certificate } from 'node:crypto'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { ProxyCredentials } from '../../types/options'
import { UNKNOWN_ADDRESS, reachedAddress } from './address'
import type { TrustedCertificate, PublicCertificate } from './certificate'
import { certificatePage } from './page'
import { platformOf } from './platform'
import { appleProfile } from './profile'
import { environmentScript } from './scripts'
import { TEXT, send, sendAutoConfiguration, sendNoAddress, sendPage } from './send'
import { TRUSTED_STYLE } from './style'

export { directNotice } from './direct'

export interface DownloadOptions {
  ca: PublicCertificate
  /** The download host: the name under which clients of the proxy reach these routes. */
  host: string
  /** The credentials that came with a request or its tunnel. Default: none. */
  credentialsOf?: (request: FastifyRequest) => ProxyCredentials | null
}

/**
 * The proxy app of the download host: `/download`, what is below it, and `/proxy.pac`. To be registered in a context
 * of its own; it adds routes and nothing else.
 */
export function downloadApp (options: DownloadOptions): FastifyPluginAsync {
  return async (app) => {
    // The prefix gives '/download' and '/download/', whatever `ignoreTrailingSlash` says.
    await app.register(async (downloads) => addDownloads(downloads, options), { prefix: '/download' })
    get(app, '/proxy.pac', (request, reply) => sendAutoConfiguration(reply, reachedAddress(request)))
  }
}

type App = Parameters<FastifyPluginAsync>[0]
type Handler = (request: FastifyRequest, reply: FastifyReply) => FastifyReply | Promise<FastifyReply>

/** Adds a route with HEAD, whatever the application's `exposeHeadRoutes` says, that is in no API document. */
function get (app: App, url: string, handler: Handler): void {
  const schema: object = { hide: true }
  app.get(url, { exposeHeadRoute: true, schema, config: { fastifyProx: 'download' } }, handler)
}

function addDownloads (app: App, { ca, host, credentialsOf = () => null }: DownloadOptions): void {
  // The page's probe for trust: always by https, whatever the page came by.
  const stylesheet = `https://${host}/download/trusted.css`

  get(app, '/', async (request, reply) => sendPage(reply, certificatePage({
    ca,
    host,
    stylesheet,
    platform: platformOf(request.headers),
    proxy: reachedAddress(request) ?? UNKNOWN_ADDRESS,
    username: credentialsOf(request)?.username ?? null,
    keyHash: await keyHash(ca, host),
    secure: typeof request.proxy?.tunnel?.tlsVersion === 'string'
  }), stylesheet))
  get(app, '/trusted.css', (_request, reply) => send(reply, 'text/css; charset=utf-8', TRUSTED_STYLE))
  get(app, '/env', (request, reply) => {
    const proxy = reachedAddress(request)
    if (proxy === null) return sendNoAddress(reply)
    // Scripts of other sites say where they come from. They get no password, whatever CORS the application allows.
    const credentials = request.headers.origin === undefined ? credentialsOf(request) : null
    return send(reply, TEXT, environmentScript(ca, proxy, credentials))
  })

  get(app, '/pem', (_request, reply) => sendPem(reply, ca.trustedPem))
  get(app, '/cer', (_request, reply) => sendCer(reply, ca.certificateDer))
  // For those who take one certificate of a file: certutil, keytool, and everybody who reads DER.
  const sendOther = (reply: FastifyReply, sendIt: (other: TrustedCertificate) => FastifyReply): FastifyReply => {
    const [, other] = ca.certificates
    return other === undefined ? send(reply.code(404), TEXT, 'There is one certificate\n') : sendIt(other)
  }
  get(app, '/pem/2', (_request, reply) => sendOther(reply, ({ pem }) => sendPem(reply, pem)))
  get(app, '/cer/2', (_request, reply) => sendOther(reply, ({ der }) => sendCer(reply, der)))
  get(app, '/p12', (_request, reply) => sendFile(reply, 'application/x-pkcs12', 'p12', ca.pkcs12()))
  get(app, '/mobileconfig', (_request, reply) =>
    sendFile(reply, 'application/x-apple-aspen-config', 'mobileconfig', appleProfile(ca, host)))
}

/** SHA-256 of the key that every certificate of this process has, in base64; `null` when there is no certificate. */
async function keyHash (ca: PublicCertificate, host: string): Promise<string | null> {
  try {
    const { publicKey } = new X509Certificate(await ca.certificate(host))
    return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  } catch {
    // The CA may not name this host, or has expired.
    return null
  }
}

function sendPem (reply: FastifyReply, pem: string): FastifyReply {
  return sendFile(reply, 'application/x-x509-ca-cert', 'pem', pem)
}

function sendCer (reply: FastifyReply, der: Buffer): FastifyReply {
  return sendFile(reply, 'application/pkix-cert', 'cer', der)
}

/**
 * `inline` and not `attachment`: Firefox then offers to trust the certificate at once, and Safari to install the
 * profile. A browser that can do neither saves it under this name.
 */
function sendFile (reply: FastifyReply, type: string, extension: string, body: string | Buffer): FastifyReply {
  return send(reply.header('content-disposition', `inline; filename="fastify-prox-ca.${extension}"`), type, body)
}
