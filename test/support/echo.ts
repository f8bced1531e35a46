/** Answers requests with what a handler can see of them. */
import type { FastifyInstance } from 'fastify'

/**
 * A route for every method and URL. Its answer is meant to be compared in part (`t.match`).
 *
 *   const proxy = await start(t, { prox: PROX }, echo)
 *   t.match(await jsonOf(proxy.get('http://a.test/')), { url: '/prefix/http://a.test/', proxied: 'http://a.test/' })
 */
export function echo (app: FastifyInstance): void {
  app.all('/*', async (request) => {
    const { method, url, originalUrl, host, hostname, port, protocol, ip, params, headers, is404, proxy } = request
    return {
      method,
      url,
      originalUrl,
      host,
      hostname,
      port,
      protocol,
      ip,
      params,
      headers,
      body: request.body ?? null,
      upgrade: headers.upgrade ?? null,
      is404,
      proxy,
      proxied: proxy?.url ?? null
    }
  })
}
