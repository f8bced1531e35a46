/** Answers those who ask it directly for what is there through the proxy alone. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { UNKNOWN_ADDRESS, askedAddress } from './address'
import { noticePage, noticeText } from './notice'
import { TEXT, send, sendAutoConfiguration, sendPage } from './send'

export interface DirectNoticeOptions {
  /** The download host: the name under which clients of the proxy reach the downloads. */
  host: string
}

const DOWNLOAD_PATH = /^\/download(?:$|[/?])/
const PAC_PATH = /^\/proxy\.pac(?:$|\?)/

/**
 * Adds to the main application a notice, with status code 404, for a direct GET or HEAD of `/download` and what is
 * below it, and the PAC file at `/proxy.pac`, which a client reads before it uses the proxy. Only where nothing of
 * the application answers: no route of it matches, and it has no not-found handler of its own.
 */
export function directNotice ({ host }: DirectNoticeOptions): FastifyPluginAsync {
  return fp(async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      // `is404` first: it is all that this costs a request that has a route.
      if (!request.is404 || request.proxy !== null || !isRetrieval(request) || !isLeftToFastify(request)) return done()
      if (PAC_PATH.test(request.url)) {
        sendAutoConfiguration(reply, askedAddress(request))
      } else if (DOWNLOAD_PATH.test(request.url)) {
        const notice = { host, proxy: askedAddress(request) ?? UNKNOWN_ADDRESS }
        reply.code(404).header('vary', 'accept')
        if (request.headers.accept?.includes('text/html')) sendPage(reply, noticePage(notice))
        else send(reply, TEXT, noticeText(notice))
      } else {
        done()
      }
    })
  }, { name: 'fastify-prox-direct-notice' })
}

function isRetrieval ({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

/**
 * Whether Fastify's own 404 would be the answer. An application's handler is bound to its instance, and has another
 * name by that; should Fastify rename its own, then the notice stays away.
 */
function isLeftToFastify (request: FastifyRequest): boolean {
  return request.routeOptions.handler.name === 'basic404'
}
