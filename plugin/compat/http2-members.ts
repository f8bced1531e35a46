/**
 * Requests and responses over HTTP/2 that keep their members when their prototype is replaced.
 *
 * Express gives every request and response a prototype of its own that inherits from those of Node's HTTP/1.1
 * (`Object.setPrototypeOf`, Express 4 and 5), and with it loses all that makes them ones of HTTP/2: no request is ever
 * answered. With their members as properties of their own they have both, for some microseconds a request.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Readable, Stream } from 'node:stream'
import { Http2Request } from './http2-request'
import { Http2Response } from './http2-response'

/** What whoever replaces the prototype has too, and what requests and responses have as properties of their own. */
const OF_INSTANCES = new Set(['constructor', 'headers', 'rawHeaders', 'statusMessage', 'strictContentLength'])

const ofRequest = membersOf(Http2Request.prototype, Readable.prototype, IncomingMessage.prototype)
const ofResponse = membersOf(Http2Response.prototype, Stream.prototype, ServerResponse.prototype)

export function keepMembers (request: Http2Request, response: Http2Response): void {
  Object.defineProperties(request, ofRequest)
  Object.defineProperties(response, ofResponse)
}

/**
 * The members of a prototype and of what it inherits from, up to a `base`, and those of the base that `other`, which
 * inherits from it too, has replaced.
 */
function membersOf (prototype: object, base: object, other: object): PropertyDescriptorMap {
  const members: PropertyDescriptorMap = {}
  for (let from = other; from !== base; from = Object.getPrototypeOf(from)) {
    for (const name of Object.getOwnPropertyNames(from)) {
      const member = inherited(base, name)
      if (member !== undefined) members[name] = member
    }
  }
  const chain: object[] = []
  for (let from = prototype; from !== base; from = Object.getPrototypeOf(from)) chain.unshift(from)
  for (const from of chain) Object.assign(members, Object.getOwnPropertyDescriptors(from))
  // Those who replace the prototype define members anew.
  return Object.fromEntries(Object.entries(members)
    .filter(([name]) => !OF_INSTANCES.has(name))
    .map(([name, member]) => [name, { ...member, configurable: true }]))
}

function inherited (object: object | null, name: string): PropertyDescriptor | undefined {
  for (let from = object; from !== null; from = Object.getPrototypeOf(from)) {
    const member = Object.getOwnPropertyDescriptor(from, name)
    if (member !== undefined) return member
  }
  return undefined
}
