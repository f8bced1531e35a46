/**
 * Reads the header of the PROXY protocol off the connections of balancers, before anything else reads them. From then
 * on such a connection has the addresses of the client.
 */
import type { EventEmitter } from 'node:events'
import { Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { AddressList } from '../../net/address-list'
import { takeOver } from '../compat/listeners'
import { setAddresses } from '../compat/peer-address'
import { FST_PROX_BAD_PROXY_HEADER } from '../errors'
import { parseProxyHeader } from '../http/proxy-header'
import type { Peers } from '../http/proxy-header'

export interface ProxyProtocolSettings {
  /** Addresses that send the header. */
  readonly trusted: AddressList
  /** Whether it is expected on a unix socket. */
  readonly unix: boolean
  /** Milliseconds for the header; 0: no limit. */
  readonly timeout: number
}

/** How long a connection may be without its header that comes while the server closes, in milliseconds. */
const CLOSING_TIMEOUT = 1_000

type Serve = (socket: Socket) => void

interface ListeningServer extends EventEmitter {
  address (): AddressInfo | string | null
}

export class ProxyProtocol {
  readonly #settings: ProxyProtocolSettings
  readonly #log: FastifyBaseLogger
  /** Connections whose header has not come. */
  readonly #waiting = new Set<Socket>()
  /** Connections that were handed on: Node's servers may be given one twice (compat/upgrade). */
  readonly #served = new WeakSet<Socket>()
  #closing = false

  constructor (settings: ProxyProtocolSettings, log: FastifyBaseLogger) {
    this.#settings = settings
    this.#log = log
  }

  /** Reads the connections of a server before it does. */
  attach (server: ListeningServer): void {
    takeOver<[Socket]>(server, 'connection', (serve) => (socket) => {
      if (this.#served.has(socket) || !this.#isTrusted(server, socket)) return serve(socket)
      this.#readHeader(socket, (socket) => {
        this.#served.add(socket)
        serve(socket)
      })
    })
  }

  /** Ends the connections that nothing has come on: they have no request that could be answered. */
  close (): void {
    this.#closing = true
    for (const socket of this.#waiting) socket.destroy()
  }

  #isTrusted (server: ListeningServer, socket: Socket): boolean {
    if (!(socket instanceof Socket)) return false
    if (typeof server.address() === 'string') return this.#settings.unix
    // A client that has gone has no address.
    return socket.remoteAddress !== undefined && this.#settings.trusted.has(socket.remoteAddress)
  }

  #readHeader (socket: Socket, serve: Serve): void {
    let bytes = Buffer.alloc(0)
    const from = socket.remoteAddress ?? 'a unix socket'

    const release = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(socket)
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError)
    }
    const refuse = (reason: string): void => {
      release()
      socket.on('error', onError)
      socket.destroy()
      const { code, message } = new FST_PROX_BAD_PROXY_HEADER(from, reason)
      this.#log.warn({ code, remoteAddress: from, firstBytes: bytes.toString('hex', 0, 16) }, message)
    }
    const onError = (): void => {}
    // A balancer that looks whether there is somebody connects, and sends nothing.
    const onEnd = (): void => {
      if (bytes.length > 0) return refuse('it ended within the header')
      release()
      socket.on('error', onError)
      socket.destroy()
    }
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read()
      if (chunk === null) return
      bytes = Buffer.concat([bytes, chunk])
      const header = parseProxyHeader(bytes)
      if (header === undefined) return
      if (header === null) return refuse('it does not begin with a header')
      release()
      assign(socket, header.peers)
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
      serve(socket)
    }

    const { timeout } = this.#settings
    const limit = this.#closing ? Math.min(timeout || CLOSING_TIMEOUT, CLOSING_TIMEOUT) : timeout
    const timer = limit === 0 ? undefined : setTimeout(() => refuse('its header did not come in time'), limit)
    this.#waiting.add(socket)
    socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError)
  }
}

function assign (socket: Socket, peers: Peers): void {
  if (peers.kind === 'inet') setAddresses(socket, peers.source, peers.destination)
  if (peers.kind === 'unix') setAddresses(socket, null, null)
}
