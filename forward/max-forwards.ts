/** `Max-Forwards` (RFC 9110 7.6.2): TRACE and OPTIONS tell how many proxies they may still pass. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { pairs } from './http1'

/** Fields that TRACE does not send back: they are secrets (RFC 9110 9.3.8). */
const SECRETS = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** What the field has to be in the next request; `null`: nothing to change, `'last'`: there is no next. */
export function nextHop ({ method, headers }: FastifyRequest): string | null | 'last' {
  const value = headers['max-forwards']
  if ((method !== 'TRACE' && method !== 'OPTIONS') || typeof value !== 'string' || !/^\d+$/.test(value)) return null
  return Number(value) === 0 ? 'last' : String(Number(value) - 1)
}

/** Answers as the host that was asked for. */
export function answerLastHop ({ method, raw }: FastifyRequest, reply: FastifyReply): void {
  if (method === 'OPTIONS') {
    reply.header('allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE').send()
    return
  }
  const lines = pairs(raw.rawHeaders).filter(([name]) => name[0] !== ':' && !SECRETS.has(name.toLowerCase()))
  const head = [`TRACE ${raw.url} HTTP/${raw.httpVersion}`, ...lines.map(([name, value]) => `${name}: ${value}`)]
  reply.type('message/http').send(Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'))
}
