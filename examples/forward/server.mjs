/**
 * A proxy in the usual sense: fetches what the client asks for from the real site, its certificate verified, and answers
 * with that. `BANNER='Seen by the proxy'` puts a line on top of every HTML page.
 */
import { randomBytes } from 'node:crypto'
import { relative } from 'node:path'
import { pipeline, Transform } from 'node:stream'
import Fastify from 'fastify'
import fastifyProx from 'fastify-prox'
import { request as fetchFrom } from 'undici'

const { PORT = '8080', LOG_LEVEL = 'warn', BANNER } = process.env

/** This proxy in the Via field of what it forwards (RFC 9110 7.6.3): when it sees itself, there is a loop. */
const PSEUDONYM = `fastify-prox-${randomBytes(6).toString('hex')}`

/** Fields of one hop (RFC 9110 7.6.1), and Trailer, as trailers end here too. What Connection lists is added to them. */
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']

const BODY = /<body(?:\s[^>]*)?>/i

const app = Fastify({ logger: { level: LOG_LEVEL } })
await app.register(fastifyProx)

// Bodies are passed on as they come, and never parsed.
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', (request, payload, done) => done(null))

app.all('/*', async (request, reply) => {
  const { method, proxy, raw } = request
  if (request.headers.via?.includes(PSEUDONYM)) return reply.code(508).send({ error: 'This request has been here before' })
  if (proxy === null) return reply.code(404).send({ error: 'This is a proxy: set your client up to use it' })

  const abort = new AbortController()
  reply.raw.once('close', () => abort.abort())

  const headers = endToEnd(request.headers)
  // Node has said 100 Continue by now, and undici knows the host from the URL.
  for (const name of ['expect', 'host']) delete headers[name]
  headers.via = via(request.headers.via, raw.httpVersion)
  const asksForPage = BANNER !== undefined && headers.accept?.includes('text/html')
  if (asksForPage) headers['accept-encoding'] = 'identity'

  let response
  try {
    response = await fetchFrom(proxy.url, { method, headers, body: hasBody(raw) ? raw : null, signal: abort.signal })
  } catch (err) {
    request.log.warn({ err }, 'not forwarded')
    const status = err.code?.endsWith('_TIMEOUT') ? 504 : 502
    return reply.code(status).send({ error: `${proxy.url}: ${err.message || err.code}` })
  }

  reply.code(response.statusCode).headers(endToEnd(response.headers))
  reply.header('via', via(response.headers.via, '1.1'))
  if (asksForPage && isWholePage(response)) {
    for (const name of ['content-length', 'etag', 'accept-ranges']) reply.removeHeader(name)
    return reply.send(pipeline(response.body, banner(BANNER), () => {}))
  }
  return reply.send(response.body)
})

function endToEnd (headers) {
  const listed = String(headers.connection ?? '').toLowerCase().split(',').map((name) => name.trim())
  const dropped = new Set([...HOP_BY_HOP, ...listed])
  // In HTTP/2 the request line comes as fields, the names of which begin with a colon.
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name[0] !== ':' && !dropped.has(name)))
}

function via (before, version) {
  return [before ?? [], `${version} ${PSEUDONYM}`].flat().join(', ')
}

function hasBody ({ headers, stream }) {
  return 'content-length' in headers || 'transfer-encoding' in headers || stream?.endAfterHeaders === false
}

function isWholePage ({ statusCode, headers }) {
  return statusCode !== 206 && headers['content-encoding'] === undefined && String(headers['content-type']).startsWith('text/html')
}

/** Adds a line behind the <body> tag. As latin1, bytes of any encoding that has ASCII in it stay what they are. */
function banner (text) {
  const line = `<p>${text.replace(/[^\w .,:;!?-]/gu, (character) => `&#${character.codePointAt(0)};`)}</p>`
  let head = ''
  let done = false
  return new Transform({
    transform (chunk, encoding, callback) {
      if (done) return callback(null, chunk)
      head += chunk.toString('latin1')
      done = BODY.test(head) || head.length > 65_536
      if (!done) return callback()
      callback(null, Buffer.from(head.replace(BODY, (tag) => tag + line), 'latin1'))
    },
    flush (callback) {
      callback(null, done ? null : Buffer.from(head, 'latin1'))
    }
  })
}

await app.listen({ port: Number(PORT) })

const { port } = app.server.address()
const ca = relative('.', app.proxyCA.file)
console.log(`Proxy:  http://localhost:${port}, to the real sites`)
console.log(`CA:     ${ca}, or http://fastify-prox/download through the proxy`)
console.log(`Try:    curl --cacert ${ca} -x localhost:${port} https://example.com/`)

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())
