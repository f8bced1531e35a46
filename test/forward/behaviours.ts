/**
 * What a forwarder has to do, request by request: bytes from a client, bytes from a host, and what each side sees.
 * The tests hold `fastify-prox/forward` to `right`; `npm run forward-table` puts the answers of others beside it.
 */
import { gzipSync } from 'node:zlib'

export interface Seen {
  /** What the host received, as Latin-1; `''`: no request came. */
  readonly request: string
  /** What the client received, as Latin-1. */
  readonly response: string
}

export interface Behaviour {
  readonly name: string
  readonly right: string
  /** Request line without the host, and fields; `Host` and `Connection: close` are added. */
  readonly request: string
  readonly body?: string
  /** What the host answers, once the head (and `body`) is there; `null` closes the connection. */
  readonly answer?: string | null
  /** Says in a word or two what happened. */
  readonly observe: (seen: Seen) => string
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

const line = ({ request }: Seen): string => request.split('\r\n')[0]!.split(' ')[1] ?? 'no request'
const status = ({ response }: Seen): string => {
  const final = response.replace(/^HTTP\/1\.1 1\d\d [^]*?\r\n\r\n/, '')
  return /^HTTP\/1\.1 (\d+)/m.exec(final)?.[1] ?? 'none'
}
const bodyOf = (text: string): string => text.slice(text.indexOf('\r\n\r\n') + 4)
const fields = (text: string, name: string): string[] => {
  const head = text.slice(0, text.indexOf('\r\n\r\n'))
  return [...head.matchAll(new RegExp(`^${name}: ?(.*)$`, 'gim'))].map((match) => match[1]!.trim())
}
const sent = (name: string) => ({ request }: Seen): string => fields(request, name).join(' | ') || 'none'
const got = (name: string) => ({ response }: Seen): string => fields(response, name).join(' | ') || 'none'
const has = (yes: boolean): string => yes ? 'yes' : 'no'
const reached = (seen: Seen): string => seen.request === '' ? `no: ${status(seen)}` : line(seen)
const casing = (text: string): string => /x-case/i.exec(text)?.[0] ?? 'none'
const hasVia = (text: string): string => has(/^via: 1\.1 /im.test(text))
const requestsSent = ({ request }: Seen): string => String(request.split(/^GET /m).length - 1)

/** What became of the request's body `x`. */
const bodySent = (otherwise: string) => (seen: Seen): string => {
  if (seen.request === '') return `not sent: ${status(seen)}`
  return bodyOf(seen.request) === 'x' ? 'as it was' : otherwise
}

function path (target: string): Behaviour {
  const name = `path and query \`${target.replace('|', '\\|')}\``
  return { name, right: target, request: `GET ${target}`, observe: reached }
}

function requestField (name: string, value: string, right: string, observed = name): Behaviour {
  const request = `GET /\r\n${name}: ${value}`
  return { name: `request field \`${name}: ${value}\``, right, request, observe: sent(observed) }
}

function responseField (name: string, value: string, right: string): Behaviour {
  const answer = `HTTP/1.1 200 OK\r\n${name}: ${value}\r\nContent-Length: 2\r\n\r\nok`
  return { name: `response field \`${name}: ${value}\``, right, request: 'GET /', answer, observe: got(name) }
}

const json = '{"a" : 1.0, "b":[ ]}'
const gzipped = gzipSync('ok').toString('latin1')
const expires = 'Expires=Wed, 01 Jan 2020 00:00:00 GMT'

/** Targets that have to reach the host byte for byte. */
const PATHS = [
  '/a/../b', '/?next=../../c', '/./a/./b', '//a//b', '/a%2Fb', '/a%2fb', '/a|b', '/{a}^`"', '/?a=%', '/?a=%E9', '/?',
  '/a?b?c', '/a;b=c', '/%41%7e', '/a+b?c+d=%20', '/\\a'
]

export const BEHAVIOURS: readonly Behaviour[] = [
  ...PATHS.map(path),
  {
    name: 'JSON body',
    right: 'as it was',
    request: `POST /\r\nContent-Type: application/json\r\nContent-Length: ${json.length}`,
    body: json,
    observe: ({ request }) => {
      if (request === '') return 'not sent'
      return bodyOf(request) === json ? 'as it was' : bodyOf(request).replaceAll('\r\n', ' ')
    }
  },
  {
    name: 'JSON body that is none',
    right: 'as it was',
    request: 'POST /\r\nContent-Type: application/json\r\nContent-Length: 1',
    body: '{',
    observe: (seen) => seen.request === '' ? `not sent: ${status(seen)}` : 'as it was'
  },
  {
    name: 'empty JSON body',
    right: 'sent',
    request: 'POST /\r\nContent-Type: application/json\r\nContent-Length: 0',
    body: '',
    observe: (seen) => seen.request === '' ? `not sent: ${status(seen)}` : 'sent'
  },
  {
    name: 'body of an unknown type',
    right: 'as it was',
    request: 'POST /\r\nContent-Type: a/b\r\nContent-Length: 1',
    body: 'x',
    observe: bodySent('changed')
  },
  {
    name: 'body without a type',
    right: 'as it was',
    request: 'POST /\r\nContent-Length: 1',
    body: 'x',
    observe: bodySent('changed')
  },
  {
    name: 'body of a GET',
    right: 'as it was',
    request: 'GET /\r\nContent-Length: 1',
    body: 'x',
    observe: bodySent('lost')
  },
  {
    name: 'body of a DELETE',
    right: 'as it was',
    request: 'DELETE /\r\nContent-Type: a/b\r\nContent-Length: 1',
    body: 'x',
    observe: bodySent('lost')
  },
  {
    name: 'request in chunks',
    right: 'in chunks',
    request: 'POST /\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked',
    body: '1\r\nx\r\n0\r\n\r\n',
    observe: (seen) => {
      if (seen.request === '') return `not sent: ${status(seen)}`
      return /chunked/i.test(seen.request) ? 'in chunks' : 'with a length'
    }
  },
  {
    name: 'trailers of a request',
    right: 'kept',
    request: 'POST /\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nTrailer: X-T',
    body: '1\r\nx\r\n0\r\nX-T: 1\r\n\r\n',
    observe: ({ request }) => /X-T: 1/i.test(bodyOf(request)) ? 'kept' : 'dropped'
  },
  { name: 'POST without content', right: '0', request: 'POST /\r\nContent-Length: 0', observe: sent('content-length') },
  requestField('Connection', 'X-Hop\r\nX-Hop: 1', 'none', 'x-hop'),
  requestField('Keep-Alive', 'timeout=5', 'none'),
  requestField('Proxy-Authorization', 'Basic YTpi', 'none'),
  requestField('Proxy-Connection', 'keep-alive', 'none'),
  requestField('TE', 'gzip', 'none'),
  requestField('TE', 'trailers', 'trailers'),
  requestField('Expect', '100-continue', 'none'),
  requestField('Accept', '*/*', '*/*'),
  requestField('X-Empty', '', 'none'),
  requestField('X-A', '1\r\nX-a: 2', '1 | 2'),
  requestField('Cookie', 'a=1; b=2', 'a=1; b=2'),
  requestField('X-Latin', '\xe9', '\xe9'),
  {
    name: 'case of field names',
    right: 'X-CaSe',
    request: 'GET /\r\nX-CaSe: 1',
    observe: ({ request }) => casing(request)
  },
  { name: '`Via` of requests', right: 'yes', request: 'GET /', observe: ({ request }) => hasVia(request) },
  { name: '`Via` of responses', right: 'yes', request: 'GET /', observe: ({ response }) => hasVia(response) },
  { name: 'request that comes back', right: '508', request: 'GET /\r\nVia: 1.1 test-pseudonym', observe: status },
  { name: '`Max-Forwards: 0` of OPTIONS', right: 'no: 200', request: 'OPTIONS /\r\nMax-Forwards: 0', observe: reached },
  {
    name: '`Max-Forwards: 5` of OPTIONS',
    right: '4',
    request: 'OPTIONS /\r\nMax-Forwards: 5',
    observe: sent('max-forwards')
  },
  {
    name: '`Connection: close, X-Hop` of a response',
    right: 'none',
    request: 'GET /',
    observe: got('x-hop'),
    answer: 'HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok'
  },
  responseField('Keep-Alive', 'timeout=77', 'none'),
  responseField('Proxy-Authenticate', 'Basic realm="a"', 'none'),
  responseField('Upgrade', 'h2c', 'none'),
  responseField('Set-Cookie', `a=1; ${expires}\r\nSet-Cookie: b=2`, `a=1; ${expires} | b=2`),
  responseField('WWW-Authenticate', 'Basic realm="a"\r\nWWW-Authenticate: Bearer', 'Basic realm="a" | Bearer'),
  responseField('X-A', '1\r\nX-A: 2', '1 | 2'),
  responseField('X-Latin', '\xe9', '\xe9'),
  {
    name: 'case of field names in responses',
    right: 'X-CaSe',
    request: 'GET /',
    answer: 'HTTP/1.1 200 OK\r\nX-CaSe: 1\r\nContent-Length: 2\r\n\r\nok',
    observe: ({ response }) => casing(response)
  },
  {
    name: 'reason phrase',
    right: 'Fine',
    request: 'GET /',
    answer: 'HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok',
    observe: ({ response }) => /^HTTP\/1\.1 200 (.*)\r/.exec(response)?.[1] ?? 'none'
  },
  {
    name: '103 before the response',
    right: 'yes',
    request: 'GET /',
    answer: `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n${OK}`,
    observe: (seen) => /^HTTP\/1\.1 103/.test(seen.response) ? 'yes' : `no: ${status(seen)}`
  },
  {
    name: '100 that nobody asked for',
    right: '200',
    request: 'GET /',
    answer: `HTTP/1.1 100 Continue\r\n\r\n${OK}`,
    observe: status
  },
  {
    name: 'trailers of a response',
    right: 'kept',
    request: 'GET /\r\nTE: trailers',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
    observe: ({ response }) => /X-T: 1/i.test(bodyOf(response)) ? 'kept' : 'dropped'
  },
  {
    name: 'length of the answer to HEAD',
    right: '1234',
    request: 'HEAD /',
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n',
    observe: got('content-length')
  },
  { name: '204', right: '204', request: 'GET /', answer: 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n', observe: status },
  {
    name: 'fields of a 304',
    right: '304 "a" 5',
    request: 'GET /',
    answer: 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
    observe: (seen) => `${status(seen)} ${got('etag')(seen)} ${got('content-length')(seen)}`
  },
  {
    name: '206',
    right: '206 bytes 0-1/10 ok',
    request: 'GET /\r\nRange: bytes=0-1',
    answer: 'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/10\r\nContent-Length: 2\r\n\r\nok',
    observe: (seen) => `${status(seen)} ${got('content-range')(seen)} ${bodyOf(seen.response)}`
  },
  {
    name: 'redirect',
    right: '302 /b',
    request: 'GET /',
    answer: 'HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n',
    observe: (seen) => `${status(seen)} ${got('location')(seen)}`
  },
  {
    name: 'requests sent for a 503 with `Retry-After: 0`',
    right: '1',
    request: 'GET /',
    answer: 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n',
    observe: requestsSent
  },
  {
    name: 'requests sent when the host closes the connection',
    right: '1',
    request: 'GET /',
    answer: null,
    observe: requestsSent
  },
  { name: 'status when the host closes the connection', right: '502', request: 'GET /', answer: null, observe: status },
  {
    name: 'status for an answer that is not HTTP',
    right: '502',
    request: 'GET /',
    answer: 'SSH-2.0-x\r\n\r\n',
    observe: status
  },
  {
    name: 'content that was cut short',
    right: 'cut short',
    request: 'GET /',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
    observe: ({ response }) => response.endsWith('0\r\n\r\n') ? 'made whole' : 'cut short'
  },
  {
    name: 'content in gzip',
    right: 'as it was',
    request: 'GET /\r\nAccept-Encoding: gzip',
    answer: `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${gzipped.length}\r\n\r\n${gzipped}`,
    observe: ({ response }) => bodyOf(response) === gzipped ? 'as it was' : 'changed'
  },
  {
    name: 'transfer coding gzip',
    right: '502',
    request: 'GET /',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    observe: status
  }
]
