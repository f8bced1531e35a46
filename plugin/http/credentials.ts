/** Credentials for the proxy itself: what a client sent, and how it is asked for them. */
import { isAscii, isUtf8 } from 'node:buffer'
import type { ProxyCredentials, ProxyResolver, RawRequest, ResolverContext } from '../../types/options'
import { FST_PROX_AUTH_REQUIRED, FST_PROX_BAD_REALM, kindOf, thrownBy } from '../errors'

/**
 * Reads the Basic credentials (RFC 7617) of the `Proxy-Authorization` field in every way that they can be meant: as
 * UTF-8, which the challenge asks for, and as Latin-1, which requests and aiohttp send all the same.
 * @returns the likelier reading first; none when there are no credentials, or those of another scheme
 */
export function readCredentials (raw: RawRequest): ProxyCredentials[] {
  const match = /^basic +([a-z0-9+/_-]+={0,2}) *$/i.exec(raw.headers['proxy-authorization'] ?? '')
  if (match === null) return []
  const bytes = Buffer.from(match[1]!, 'base64')
  const colon = bytes.indexOf(':')
  if (colon === -1) return []
  const encodings: BufferEncoding[] = isAscii(bytes) ? ['latin1'] : isUtf8(bytes) ? ['utf8', 'latin1'] : ['latin1']
  return encodings.map((encoding) => ({
    username: bytes.toString(encoding, 0, colon),
    password: bytes.toString(encoding, colon + 1)
  }))
}

/** A 407 (RFC 9110 15.5.8) with the challenge that goes into its `Proxy-Authenticate` field. */
export class ChallengeError extends FST_PROX_AUTH_REQUIRED {
  readonly challenge: string

  constructor (realm: string) {
    super()
    // What a field cannot hold would end in an error of Node's, after the hooks.
    const text = realm.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')
    // RFC 7617 2.1: the client is to send UTF-8.
    this.challenge = `Basic realm="${text}", charset="UTF-8"`
  }
}

/**
 * Asks the resolver whether it lets a client pass, and for each reading of the client's credentials until it does.
 * @param context has the first reading, or `null`
 * @returns the credentials with which it does
 * @throws ChallengeError with the realm of its last answer, when it asks for others
 * @throws FST_PROX_BAD_REALM when it answers neither a realm nor nothing, so that a mistake in it lets nobody in
 */
export async function askForCredentials (
  resolver: ProxyResolver, context: ResolverContext, readings: readonly ProxyCredentials[]
): Promise<ProxyCredentials | null> {
  let realm = await requireAuth(resolver, context)
  if (realm === null) return context.credentials
  for (const credentials of readings.slice(1)) {
    realm = await requireAuth(resolver, { ...context, credentials })
    if (realm === null) return credentials
  }
  throw new ChallengeError(realm)
}

async function requireAuth (resolver: ProxyResolver, context: ResolverContext): Promise<string | null> {
  let realm: unknown
  try {
    realm = await resolver.requireAuth?.(context)
  } catch (err) {
    throw thrownBy('requireAuth', err)
  }
  if (realm === undefined || realm === null) return null
  if (typeof realm !== 'string') throw new FST_PROX_BAD_REALM(kindOf(realm))
  return realm
}
