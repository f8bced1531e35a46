import { once } from 'node:events'
import http2 from 'node:http2'
import https from 'node:https'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { secure } from '../support/proxy'
import type { RawClient, RawResponse } from '../support/raw'
import { connect } from '../support/raw'
import { startExample } from './example'
import type { Example } from './example'

const PAGE = '<!DOCTYPE html>\n<html><head><title>t</title></head><BODY class="a">\n<p>\u00fc</p></BODY></html>\n'

/** Fields of the site's answer to `/fields`, one of which the connection names as its own. */
const FIELDS = [
  ['connection', 'x-hop'],
  ['x-hop', '1'],
  ['x-end', '1'],
  ['set-cookie', 'a=1'],
  ['set-cookie', 'b=2'],
  ['via', '1.1 site']
]

const HTML = { 'content-type': 'text/html' }

const PAGE_FIELDS = {
  'content-type': 'text/html; charset=utf-8',
  'content-length': Buffer.byteLength(PAGE),
  etag: '"1"'
}

/** The real site. What it is asked for is in `seen`. */
const site: RequestListener = (request, response) => {
  const answers: Record<string, () => unknown> = {
    '/fields': () => response.writeHead(200, FIELDS.flat()).end('fields'),
    '/echo': () => request.pipe(response.writeHead(201)),
    '/empty': () => response.writeHead(204, { 'x-end': '1' }).end(),
    '/same': () => response.writeHead(304, { etag: '"1"' }).end(),
    '/moved': () => response.writeHead(302, { location: '/page' }).end(),
    '/page': () => response.writeHead(200, PAGE_FIELDS).end(PAGE),
    '/text': () => response.writeHead(200, { 'content-type': 'text/plain' }).end(PAGE),
    '/bare': () => response.writeHead(200, HTML).end('no tags'),
    '/long': () => response.writeHead(200, HTML).end('x'.repeat(300_000) + PAGE),
    '/reset': () => response.destroy()
  }
  answers[request.url!]!()
}

interface Site {
  readonly port: number
  readonly url: string
  readonly ca: CertificateAuthority
  readonly seen: IncomingMessage[]
}

async function startSite (t: Test): Promise<Site> {
  const ca = await CertificateAuthority.load({ store: new Map() })
  const { key, cert } = await ca.issue('localhost')
  const seen: IncomingMessage[] = []
  const server = https.createServer({ key, cert }, (request: IncomingMessage, response: ServerResponse) => {
    seen.push(request)
    site(request, response as Parameters<RequestListener>[1])
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const { port } = server.address() as AddressInfo
  return { port, url: `https://localhost:${port}`, ca, seen }
}

/** The example, which trusts the CA of the site. */
async function startForward (t: Test, { ca }: Site, more: Record<string, string> = {}): Promise<Example> {
  const env = { NODE_EXTRA_CA_CERTS: 'site.pem', ALLOW: '127.0.0.0/8,::1', ...more }
  return await startExample(t, 'forward', env, { 'site.pem': ca.certificatePem })
}

/** A client in a tunnel to the site, as the proxy makes it. */
async function tunnel (t: Test, { port, ca }: Example, authority: string): Promise<RawClient> {
  const client = await connect(t, { host: 'localhost', port })
  client.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  await client.response('CONNECT')
  return await secure(t, client.detach(), authority, { ca: ca() })
}

t.test('forwards to the real site', async (t) => {
  const site = await startSite(t)
  const proxy = await startForward(t, site)
  const client = await tunnel(t, proxy, `localhost:${site.port}`)
  type Fields = Record<string, string>
  const ask = async (method: string, path: string, headers: Fields = {}, body = ''): Promise<RawResponse> =>
    await client.ask(method, path, { host: `localhost:${site.port}`, ...headers }, body)

  t.test('end-to-end fields pass, those of one hop do not', async (t) => {
    const response = await ask('GET', '/fields', {
      connection: 'x-mine',
      'x-mine': '1',
      te: 'trailers',
      'keep-alive': 'timeout=5',
      'proxy-connection': 'keep-alive',
      'proxy-authorization': 'Basic YTpi',
      'x-theirs': '1',
      via: '1.1 before'
    })
    t.equal(response.status, 200)
    t.equal(response.body, 'fields')
    t.match(response.headers, {
      'x-end': '1',
      'set-cookie': 'a=1, b=2',
      via: /^1\.1 site, 1\.1 fastify-prox-[0-9a-f]{12}$/,
      'x-hop': undefined
    })
    t.notMatch(response.headers.connection ?? '', /x-hop/)
    const { headers } = site.seen.at(-1)!
    t.match(headers, {
      host: `localhost:${site.port}`,
      'x-theirs': '1',
      via: /^1\.1 before, 1\.1 fastify-prox-[0-9a-f]{12}$/
    })
    t.equal(headers.te, 'trailers')
    for (const name of ['x-mine', 'keep-alive', 'proxy-connection', 'proxy-authorization']) {
      t.equal(headers[name], undefined, name)
    }
  })

  t.test('bodies pass both ways', async (t) => {
    const body = '\u00fc'.repeat(100_000)
    for (const headers of [{}, { 'content-type': 'application/json' }, { expect: '100-continue' }] as Fields[]) {
      const response = await ask('POST', '/echo', headers, body)
      t.equal(response.status, 201)
      t.equal(response.body, body, JSON.stringify(headers))
    }
    client.write(`PUT /echo HTTP/1.1\r\nHost: localhost:${site.port}\r\nTransfer-Encoding: chunked\r\n\r\n`)
    client.write('5\r\nhello\r\n0\r\n\r\n')
    t.equal((await client.response()).body, 'hello')
    t.equal((await ask('POST', '/echo', { 'content-length': '0' })).body, '')
    t.equal((await ask('DELETE', '/echo')).body, '')
  })

  t.test('responses without a body pass', async (t) => {
    const length = String(Buffer.byteLength(PAGE))
    t.match(await ask('HEAD', '/page'), { status: 200, headers: { 'content-length': length } })
    t.match(await ask('GET', '/empty'), { status: 204, headers: { 'x-end': '1' } })
    t.match(await ask('GET', '/same'), { status: 304, headers: { etag: '"1"' } })
    const moved = await ask('GET', '/moved')
    t.match(moved, { status: 302, headers: { location: '/page' } }, 'it is the client that follows')
    t.match(await ask('GET', '/page', { accept: 'text/html' }), { status: 200, headers: { etag: '"1"' } })
  })

  t.test('a site that fails is a bad gateway', async (t) => {
    t.match(await ask('GET', '/reset'), { status: 502, body: /FST_PROX_UPSTREAM_FAILED/ })
  })
  t.end()
})

t.test('clients that speak HTTP/2 are forwarded too', async (t) => {
  const site = await startSite(t)
  const proxy = await startForward(t, site)
  const client = await connect(t, { host: 'localhost', port: proxy.port })
  client.write(`CONNECT localhost:${site.port} HTTP/1.1\r\n\r\n`)
  await client.response('CONNECT')
  const options = { ca: proxy.ca(), socket: client.detach() } as http2.SecureClientSessionOptions
  const session = http2.connect(site.url, options)
  t.teardown(() => session.destroy())
  for (const body of ['hello', '']) {
    const stream = session.request({ ':method': 'POST', ':path': '/echo', te: 'trailers' })
    stream.setEncoding('utf8').end(body)
    const [headers] = await once(stream, 'response')
    t.equal(headers[':status'], 201)
    t.equal((await stream.toArray()).join(''), body)
  }
  t.match(site.seen[0]!.headers, { via: /^2(\.0)? fastify-prox/, host: `localhost:${site.port}`, te: 'trailers' })
})

t.test('does not forward to itself', async (t) => {
  const proxy = await startForward(t, await startSite(t))
  const client = await connect(t, { host: 'localhost', port: proxy.port })
  for (const host of ['localhost', '127.0.0.1']) {
    const response = await client.ask('GET', `http://${host}:${proxy.port}/`)
    t.equal(response.status, 403, host)
    t.match(response.body, /this proxy itself/)
  }
  t.equal((await client.ask('GET', '/', { host: 'localhost' })).status, 404, 'asked directly it is no site')
})

t.test('trusts nobody but the public CAs and those it is told of', async (t) => {
  const site = await startSite(t)
  const proxy = await startForward(t, await startSite(t))
  const client = await tunnel(t, proxy, `localhost:${site.port}`)
  const { status, body } = await client.ask('GET', '/page')
  t.equal(status, 502)
  t.match(body, /UNABLE_TO_VERIFY|SELF_SIGNED/)
  t.equal(site.seen.length, 0)
})
