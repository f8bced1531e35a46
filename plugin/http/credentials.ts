/** Credentials for the proxy itself: what a client sent, and how it is asked for them. */
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import { FST_PROX_AUTH_REQUIRED } from '../errors'

/** Basic credentials (RFC 7617) of the `Proxy-Authorization` field; `null` for none, and for any other scheme. */
export function proxyCredentials (raw: RawRequest): ProxyCredentials | null {
  const field = raw.headers['proxy-authorization']
  if (field === undefined) return null
  const match = /^basic +([a-z0-9+/_-]+={0,2}) *$/i.exec(field)
  if (match === null) return null
  const text = Buffer.from(match[1]!, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? null : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** A 407 (RFC 9110 15.5.8) with the challenge that goes into its `Proxy-Authenticate` field. */
export class ChallengeError extends FST_PROX_AUTH_REQUIRED {
  readonly challenge: string

  constructor (realm: string) {
    super()
    // What a field cannot hold would end in an error of Node's, after the hooks.
    const text = realm.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')
    this.challenge = `Basic realm="${text}"`
  }
}

/** Asks the resolver whether it wants credentials that the client has not given. */
export async function askForCredentials (resolver: ProxyResolver, context: ResolverContext): Promise<void> {
  const realm = await resolver.requireAuth?.(context)
  if (typeof realm === 'string') throw new ChallengeError(realm)
}
