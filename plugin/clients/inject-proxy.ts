/** Proxied requests without sockets and certificates: what `fastify.inject` is for requests that are not proxied. */
import type { RequestListener } from 'node:http'
import type { FastifyInstance, LightMyRequestCallback, LightMyRequestResponse } from 'fastify'
import type * as lightMyRequest from 'light-my-request'
import type { InjectProxy, InjectProxyOptions } from '../../types/clients'
import { readUrl } from './injected-request'
import type { RouteInjected } from './injected-request'

const SCHEMES = ['http:', 'https:']

export function injector (fastify: FastifyInstance, route: RouteInjected): InjectProxy {
  type Options = InjectProxyOptions | string | URL

  function injectProxy (options: Options): Promise<LightMyRequestResponse>
  function injectProxy (options: Options, callback: LightMyRequestCallback): void
  function injectProxy (options: Options, callback?: LightMyRequestCallback): Promise<LightMyRequestResponse> | void {
    // Loaded late, as Fastify does it: servers that are not under test have no need of it.
    const { inject } = require('light-my-request') as typeof lightMyRequest
    const settings = typeof options === 'object' && !(options instanceof URL) ? options : { url: options }
    const url = readUrl(settings?.url, SCHEMES)
    const request = { ...settings, url: url.href, authority: url.host }
    const dispatch: RequestListener = (raw, response) => {
      fastify.ready()
        .then(() => route(raw, url))
        .then(() => fastify.routing(raw, response), (err) => { response.destroy(err) })
    }
    return callback === undefined ? inject(dispatch, request) : inject(dispatch, request, callback)
  }
  return injectProxy
}
