/** Responses of the downloads, with the headers that all of them share. */
import type { FastifyReply } from 'fastify'
import type { ProxyAddress } from './address'
import { contentSecurityPolicy } from './html'
import { autoConfiguration } from './scripts'

export const TEXT = 'text/plain; charset=utf-8'

/** Nothing is kept by caches: a CA may be made anew, and the page's answer is of the moment. */
export function send (reply: FastifyReply, type: string, body: string | Buffer): FastifyReply {
  return reply
    .type(type)
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
    .send(body)
}

export function sendPage (reply: FastifyReply, page: string, stylesheet?: string): FastifyReply {
  reply
    .header('content-security-policy', contentSecurityPolicy(stylesheet))
    .header('referrer-policy', 'no-referrer')
  return send(reply, 'text/html; charset=utf-8', page)
}

/** A PAC file, or, where there is no address, the reason. */
export function sendAutoConfiguration (reply: FastifyReply, proxy: ProxyAddress | null): FastifyReply {
  if (proxy === null) return sendNoAddress(reply)
  return send(reply, 'application/x-ns-proxy-autoconfig', autoConfiguration(proxy))
}

/** Every line is a comment, so that a shell which runs this all the same does nothing. */
export function sendNoAddress (reply: FastifyReply): FastifyReply {
  return send(reply.code(501), TEXT,
    '# fastify-prox: this proxy is on a unix socket, which no proxy variable and no PAC file can name.\n')
}
