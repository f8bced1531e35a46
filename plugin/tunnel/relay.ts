/** A tunnel that is passed through: its bytes go to the host and back, and only a TLS server name is read. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { FST_PROX_CONNECT_REFUSED } from '../errors'
import { IDLE_TIMEOUT, UPSTREAM_CLOSED, upstreamFailed } from './endings'
import { readFirstBytes, readServerName } from './first-bytes'
import type { OutcomeReporter } from './outcome'
import { refuse } from './refuse'
import type { Tunnel, Watch } from './tunnel'
import { Silence } from './watchdog'

export interface RelayOptions {
  readonly reporter: OutcomeReporter
  readonly timeouts: { readonly passIdle: number }
}

/**
 * Relays a tunnel to the host that was dialled. A ClientHello whose server name differs from the CONNECT's host goes no
 * further until the policy has allowed the name.
 * @param head what came right behind the CONNECT
 * @returns `false` when the name is one that is to be intercepted: the bytes are in the socket again
 */
export async function passThrough (
  tunnel: Tunnel, upstream: Socket, head: Buffer, options: RelayOptions
): Promise<boolean> {
  const { socket, request } = tunnel
  // Some protocols have the host speak first.
  const relay = new Relay(tunnel, upstream, options.timeouts.passIdle)
  relay.fromUpstream()
  const first = await readFirstBytes(socket, head, () => {})
  if (first?.protocol === 'tls') {
    const servername = readServerName(tunnel, first.servername)
    tunnel.servername = servername
    try {
      if (!await mayPass(tunnel, upstream, servername ?? request.target.hostname)) {
        relay.leave()
        return false
      }
    } catch (err) {
      if (!socket.destroyed) refuse(tunnel, err as Error, options.reporter)
      return true
    }
  }
  relay.toUpstream()
  return true
}

/**
 * Whether the name that a client goes on with is one to pass through; the CONNECT's own is. `false`: it is to be
 * intercepted.
 * @throws the error of the policy, and FST_PROX_CONNECT_REFUSED when the host has spoken and interception is too late
 */
async function mayPass (tunnel: Tunnel, upstream: Socket, hostname: string): Promise<boolean> {
  const { socket, request } = tunnel
  if (hostname === request.target.hostname) return true
  const decision = await request.authorize(hostname, tunnel.describe()) ?? null
  if (decision !== null || socket.destroyed) return true
  if (upstream.bytesRead === 0) return false
  throw new FST_PROX_CONNECT_REFUSED(`${hostname}:${request.target.port}`)
}

/** Relays a tunnel whose ClientHello, which is in the socket, names a host to pass through. */
export function relayBoth (tunnel: Tunnel, upstream: Socket, { timeouts }: RelayOptions): void {
  const relay = new Relay(tunnel, upstream, timeouts.passIdle)
  relay.fromUpstream()
  relay.toUpstream()
}

class Relay {
  readonly #tunnel: Tunnel
  readonly #upstream: Socket
  readonly #idle: number

  constructor (tunnel: Tunnel, upstream: Socket, idle: number) {
    this.#tunnel = tunnel
    this.#upstream = upstream
    this.#idle = idle
    tunnel.state = 'passing'
    tunnel.passed = true
    tunnel.probe()
    tunnel.watch = new PassWatch(tunnel, idle)
    // Each side may go on when the other has ended its own.
    tunnel.socket.allowHalfOpen = true
    tunnel.socket.on('error', this.#onClientError).on('close', this.#onClientClose)
    upstream.on('error', this.#onUpstreamError).on('end', this.#onUpstreamEnd).on('close', this.#onUpstreamClose)
  }

  fromUpstream (): void {
    this.#upstream.pipe(this.#tunnel.socket)
  }

  toUpstream (): void {
    this.#tunnel.socket.pipe(this.#upstream)
  }

  /** Leaves the client to somebody else, and the host alone. */
  leave (): void {
    const { socket } = this.#tunnel
    const upstream = this.#upstream.unpipe(socket)
    socket.off('error', this.#onClientError).off('close', this.#onClientClose)
    upstream.off('error', this.#onUpstreamError).off('end', this.#onUpstreamEnd).off('close', this.#onUpstreamClose)
    upstream.destroy()
    this.#tunnel.passed = false
  }

  readonly #onClientError = (): void => reset(this.#upstream)

  readonly #onClientClose = (): void => {
    const { socket } = this.#tunnel
    const complete = socket.readableEnded && socket.writableFinished
    // The host may still read what is on its way, for as long as it does not stop.
    if (complete) this.#upstream.setTimeout(this.#idle, () => this.#upstream.destroy())
    else this.#upstream.destroy()
  }

  readonly #onUpstreamError = (err: NodeJS.ErrnoException): void => {
    this.#tunnel.ending = upstreamFailed(err)
    reset(this.#tunnel.socket)
  }

  readonly #onUpstreamEnd = (): void => {
    if (!this.#tunnel.socket.readableEnded) this.#tunnel.ending = UPSTREAM_CLOSED
  }

  readonly #onUpstreamClose = (): void => {
    if (!this.#upstream.readableEnded) this.#tunnel.socket.destroy()
  }
}

/** Has a peer see that what it got is not whole: an end would say that it is. */
function reset (socket: Socket): void {
  // What is being shut down is not reset by libuv, and Node would never close it (20 to 26).
  const isShuttingDown = socket.writableEnded && !socket.writableFinished
  // TLS has no resets, neither have unix sockets.
  if (isShuttingDown || socket instanceof TLSSocket || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

/** Ends a tunnel on which no byte has come or gone for too long. */
class PassWatch implements Watch {
  readonly #tunnel: Tunnel
  readonly #idle: number
  readonly #silence = new Silence()

  /** @param idle milliseconds; 0: no limit */
  constructor (tunnel: Tunnel, idle: number) {
    this.#tunnel = tunnel
    this.#idle = idle
  }

  check (now: number): void {
    const { socket } = this.#tunnel
    const silent = this.#silence.measure(socket.bytesRead + socket.bytesWritten, now)
    if (this.#idle > 0 && silent >= this.#idle) this.#tunnel.destroy(IDLE_TIMEOUT)
  }
}
