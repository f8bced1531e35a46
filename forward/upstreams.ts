/** All connections to upstream hosts: chooses between HTTP/1.1 and HTTP/2, and opens what is missing. */
import { LRUCache } from 'lru-cache'
import { FST_PROX_UPSTREAM_FAILED } from '../plugin/errors'
import type { Connected, Connector, Route } from './connector'
import { Http1Agent, sendHttp1 } from './http1'
import { Http2Session } from './http2'
import type { Call, Upstream } from './upstream'

const BOTH = ['h2', 'http/1.1']
const HTTP1 = ['http/1.1']

/** How many connections are opened for a request before it is given up: a host may close each before it is used. */
const ATTEMPTS = 3

export class Upstreams {
  readonly #connector: Connector
  readonly #http2: boolean
  readonly #sessions = new Map<string, Http2Session>()
  /** Connections that were opened to see what the host speaks, and wait for the request that asked. */
  readonly #spare = new Map<string, Connected>()
  readonly #probes = new Map<string, Promise<void>>()
  /** Hosts that do not speak HTTP/2. */
  readonly #http1Only = new LRUCache<string, true>({ max: 10_000, ttl: 600_000 })
  readonly #agent = new Http1Agent(async (route) => {
    const spare = this.#spare.get(route.key)
    this.#spare.delete(route.key)
    return spare !== undefined && !spare.socket.destroyed ? spare : await this.#connector.connect(route, HTTP1)
  })

  constructor (connector: Connector, http2: boolean) {
    this.#connector = connector
    this.#http2 = http2
  }

  /** @throws what `Connector.connect` throws, when the host speaks HTTP/2 or has yet to say; else the response does */
  async send (route: Route, call: Call): Promise<Upstream> {
    const session = await this.#sessionTo(route)
    return session === null ? sendHttp1(this.#agent, route, call) : session.send(route, call)
  }

  close (): void {
    this.#agent.destroy()
    for (const { socket } of this.#spare.values()) socket.destroy()
    for (const session of this.#sessions.values()) session.destroy()
    this.#sessions.clear()
  }

  /** A session that takes another stream; `null`: the host speaks HTTP/1.1. */
  async #sessionTo (route: Route): Promise<Http2Session | null> {
    const { key, target } = route
    if (target.scheme === 'http' || !this.#http2) return null
    for (let attempts = 0; attempts < ATTEMPTS; attempts++) {
      const session = this.#sessions.get(key)
      if (session?.usable) return session
      if (this.#http1Only.has(key)) return null
      // One connection tells for all requests that wait: browsers send many at once.
      let probe = this.#probes.get(key)
      if (probe === undefined) {
        probe = this.#probe(route).finally(() => this.#probes.delete(key))
        this.#probes.set(key, probe)
      }
      await probe
    }
    throw new FST_PROX_UPSTREAM_FAILED(target.authority, 'it closes every HTTP/2 connection at once')
  }

  async #probe (route: Route): Promise<void> {
    const { key } = route
    const connected = await this.#connector.connect(route, BOTH)
    if (connected.info.alpn === 'h2') {
      const session = new Http2Session(route, connected)
      session.onClose(() => { if (this.#sessions.get(key) === session) this.#sessions.delete(key) })
      this.#sessions.set(key, session)
      return
    }
    this.#http1Only.set(key, true)
    connected.socket.on('error', () => {})
    this.#spare.set(key, connected)
  }
}
