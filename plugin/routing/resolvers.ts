/** Resolvers: from the full URL that a client asked for to a URL of the application. */
import type { ProxyAuthResolverOptions, ProxyResolver, ResolverContext } from '../../types/options'
import { FST_PROX_INVALID_OPTION, kindOf, show } from '../errors'
import { checkOptions, isObject } from '../option-rules'
import type { Rules } from '../option-rules'

const AUTH_RULES: Rules<keyof ProxyAuthResolverOptions> = {
  realm: {
    takes: 'a string of printable ASCII', accepts: (value) => typeof value === 'string' && /^[\x20-\x7e]*$/.test(value)
  },
  // Checked below.
  validate: { takes: 'anything', accepts: () => true }
}

/**
 * Resolves every URL to `prefix` followed by the URL.
 * @param prefix begins with `/`; default `'/'`
 */
export function fixedResolver (prefix: string = '/'): ProxyResolver {
  if (typeof prefix !== 'string' || prefix[0] !== '/') {
    throw new FST_PROX_INVALID_OPTION('resolver', 'a prefix that begins with "/", or a function', show(prefix))
  }
  return (url) => prefix + url
}

/**
 * Asks for Basic credentials (RFC 7617) and resolves a URL to `/<user name>/<URL>`, the user name percent-encoded.
 * With `validate`, credentials that it does not accept are asked for again. It is asked for each reading of credentials
 * that are not ASCII: as UTF-8, then as Latin-1.
 *
 * @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION
 */
export function proxyAuthResolver (options: ProxyAuthResolverOptions = {}): ProxyResolver {
  if (!isObject(options)) throw new FST_PROX_INVALID_OPTION('proxyAuthResolver', 'an object of options', show(options))
  checkOptions(options, AUTH_RULES)
  const { realm = 'Please enter prefix path', validate } = options
  if (validate !== undefined && typeof validate !== 'function') {
    // What stands here may be a password, so its kind alone is shown.
    throw new FST_PROX_INVALID_OPTION('validate', 'a function of user name and password', kindOf(validate))
  }

  const resolver: ProxyResolver = (url, { credentials }) => `/${encodeURIComponent(credentials!.username)}/${url}`
  resolver.requireAuth = ({ credentials }: ResolverContext) => {
    if (credentials === null || credentials.username === '') return realm
    if (validate === undefined) return null
    return Promise.resolve(validate(credentials.username, credentials.password))
      .then((valid) => valid === true ? null : realm)
  }
  return resolver
}
