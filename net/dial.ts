/**
 * Connects to a host: its name is resolved once, every address is checked, and those very addresses are connected to,
 * so that an answer of the DNS that changes later changes nothing.
 */
import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress } from 'node:dns'
import { connect, isIP } from 'node:net'
import type { Socket } from 'node:net'
import type { DialTarget, Lookup } from '../types/net'
import {
  FST_PROX_UPSTREAM_TIMEOUT, FST_PROX_UPSTREAM_UNREACHABLE, FST_PROX_UPSTREAM_UNRESOLVED
} from '../plugin/errors'
import type { AddressGuard } from './guard'

export interface DialOptions {
  readonly guard: AddressGuard
  /** Milliseconds for all of it. */
  readonly timeout: number
  readonly lookup?: Lookup | undefined
  /** Whether our side stays open when the host has ended its own. */
  readonly allowHalfOpen?: boolean | undefined
  /** Gives up, and destroys the socket at whatever time it is aborted. */
  readonly signal?: AbortSignal | undefined
}

export interface Dialled {
  readonly socket: Socket
  /** Milliseconds that the look-up took, and the connection. */
  readonly resolved: number
  readonly connected: number
}

/**
 * @throws FST_PROX_UPSTREAM_ UNRESOLVED, UNREACHABLE and TIMEOUT, and FST_PROX_ADDRESS_REFUSED; the reason of the
 * signal when it is aborted
 */
export async function dial (target: DialTarget, options: DialOptions): Promise<Dialled> {
  const { hostname, port } = target
  const { signal, allowHalfOpen } = options
  const begin = performance.now()
  const addresses = await resolveAllowed(target, options)
  signal?.throwIfAborted()
  const resolved = performance.now()
  const socket = connect({
    host: hostname,
    port,
    signal,
    allowHalfOpen,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    // Called for a name alone: an address is connected to as it is.
    lookup: (_hostname, options, callback) => {
      if (options.all) callback(null, addresses)
      else callback(null, addresses[0]!.address, addresses[0]!.family)
    }
  })
  await connectedSocket(socket, target, Math.max(1, options.timeout - (resolved - begin)))
  return { socket, resolved: resolved - begin, connected: performance.now() - resolved }
}

/** The addresses of a host, every one of which may be connected to. */
export async function resolveAllowed (
  target: DialTarget, { guard, timeout, lookup = systemLookup, signal }: DialOptions
): Promise<LookupAddress[]> {
  const addresses = await withLimits(resolve(target.hostname, lookup), timeout, target.hostname, signal)
  await guard.assertAllowed(addresses.map(({ address }) => address), target)
  return addresses
}

async function resolve (hostname: string, lookup: Lookup): Promise<LookupAddress[]> {
  const family = isIP(hostname)
  if (family !== 0) return [{ address: hostname, family }]
  return await new Promise((resolve, reject) => {
    lookup(hostname, { all: true }, (err, addresses) => {
      if (err === null && addresses.length > 0) resolve(addresses)
      else reject(new FST_PROX_UPSTREAM_UNRESOLVED(hostname, err?.code ?? 'it has no address'))
    })
  })
}

async function connectedSocket (socket: Socket, { hostname, port }: DialTarget, timeout: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const fail = (err: Error): void => {
      settle()
      socket.on('error', () => {})
      socket.destroy()
      reject(err)
    }
    const timer = setTimeout(() => fail(new FST_PROX_UPSTREAM_TIMEOUT(`${hostname}:${port}`, 'connect')), timeout)
    const onError = (err: NodeJS.ErrnoException): void => {
      fail(new FST_PROX_UPSTREAM_UNREACHABLE(`${hostname}:${port}`, reason(err)))
    }
    const onConnect = (): void => {
      settle()
      resolve()
    }
    const settle = (): void => {
      clearTimeout(timer)
      socket.off('error', onError).off('connect', onConnect)
    }
    socket.on('error', onError).on('connect', onConnect)
  })
}

async function withLimits<T> (
  promise: Promise<T>, timeout: number, hostname: string, signal: AbortSignal | undefined
): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    const onAbort = (): void => {
      settle()
      reject(signal!.reason)
    }
    const timer = setTimeout(() => {
      settle()
      reject(new FST_PROX_UPSTREAM_TIMEOUT(hostname, 'resolve'))
    }, timeout)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
    promise.then(resolve, reject).finally(settle)
  })
}

/** What a failed connection is called; that of several addresses is an AggregateError without a message. */
export function reason (err: NodeJS.ErrnoException): string {
  return err.code ?? err.message
}
