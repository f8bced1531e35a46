/** A resolver that has every URL reach a route. Fastify's router refuses paths that it cannot percent-decode. */
import type { ProxyResolver } from '../types/options'

/**
 * As the resolver of a prefix, but for URLs such as `/%` and `/%E9`: their percent signs are escaped for the router,
 * which would answer 400. `request.proxy.url` is what the client asked for all the same.
 * @param prefix begins and ends with `/`
 * @example await app.register(fastifyProx, { resolver: forwardResolver() })
 */
export function forwardResolver (prefix = '/'): ProxyResolver {
  return (url) => `${prefix}${isDecodable(url) ? url : url.replaceAll('%', '%25')}`
}

function isDecodable (url: string): boolean {
  if (!url.includes('%')) return true
  const query = url.indexOf('?')
  try {
    decodeURI(query === -1 ? url : url.slice(0, query))
    return true
  } catch {
    return false
  }
}
