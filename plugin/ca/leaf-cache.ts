/** Keeps leaves, has missing ones minted in the time-sliced queue, once for all who ask, and renews them in time. */
import { channel } from 'node:diagnostics_channel'
import { LRUCache } from 'lru-cache'
import type { CertificateMinted, CertificateReused, Leaf } from '../../types/ca'
import { FST_PROX_LEAF_UNWANTED } from '../errors'
import type { IssuedLeaf, LeafIssuer } from './leaf-issuer'
import { normalizeHost } from './names'
import { TimeSlicedQueue } from './time-sliced-queue'

/** How many hosts are remembered for each leaf that is kept: many hosts share a leaf, and a host is only a string. */
const HOSTS_PER_LEAF = 8

/**
 * How many hosts may wait for a leaf. With an RSA CA, whose mint takes about 1.5 ms, the last one waits 6 seconds: less
 * than the 10 that a client gets for its handshake.
 */
const QUEUE_LIMIT = 4096

const minted = channel('fastify-prox:certificate:minted')
const reused = channel('fastify-prox:certificate:reused')

/** A leaf that waits in the queue. */
interface Pending {
  readonly promise: Promise<Leaf>
  /** Whether those who asked still want it. */
  readonly isWanted: Array<() => boolean>
}

export class LeafCache {
  readonly #issuer: LeafIssuer
  readonly #onMint: (now: number) => void
  /** By the names of the leaf, with spaces between them. */
  readonly #leaves: LRUCache<string, IssuedLeaf>
  /** The names of the leaf for a host, as the host was spelt. */
  readonly #namesOf: LRUCache<string, string>
  /** By the names of the leaf. */
  readonly #inFlight = new Map<string, Pending>()
  readonly #queue = new TimeSlicedQueue(QUEUE_LIMIT)

  /** @param onMint called with the time before each mint, in milliseconds since the epoch. */
  constructor (issuer: LeafIssuer, size: number, onMint: (now: number) => void) {
    this.#issuer = issuer
    this.#onMint = onMint
    this.#leaves = new LRUCache({ max: size })
    this.#namesOf = new LRUCache({ max: size * HOSTS_PER_LEAF })
  }

  /** Answers the leaf that is kept, or a promise of one. It never throws. */
  leaf (host: string, isWanted: () => boolean): Leaf | Promise<Leaf> {
    const known = this.#namesOf.get(host)
    const kept = known === undefined ? undefined : this.#validCached(known)
    if (kept !== undefined) return publishReuse(kept, host)
    try {
      const canonical = normalizeHost(host)
      const names = known ?? this.#issuer.namesFor(canonical).join(' ')
      const shared = this.#validCached(names)
      if (shared === undefined) return this.#issueOnce(host, canonical, names, isWanted, known !== undefined)
      this.#namesOf.set(host, names)
      return publishReuse(shared, host)
    } catch (err) {
      return Promise.reject(err)
    }
  }

  /** The leaf that is kept, unless its certificate or its ticket keys have to be replaced. */
  #validCached (names: string): Leaf | undefined {
    const cached = this.#leaves.get(names)
    if (cached === undefined) return undefined
    const now = Date.now()
    return now < cached.renewAt && now < cached.ticketsUntil ? cached.leaf : undefined
  }

  /** Joins those who wait for the leaf, or puts it into the queue: a host that was served before goes first. */
  #issueOnce (host: string, canonical: string, names: string, isWanted: () => boolean, known: boolean): Promise<Leaf> {
    const pending = this.#inFlight.get(names)
    if (pending !== undefined) {
      pending.isWanted.push(isWanted)
      return pending.promise
    }
    const wanted = [isWanted]
    const promise = this.#queue.run(() => {
      this.#inFlight.delete(names)
      if (!wanted.some((isWanted) => isWanted())) throw new FST_PROX_LEAF_UNWANTED(canonical)
      const leaf = this.#issueOrReuse(names, canonical)
      this.#namesOf.set(host, names)
      return leaf
    }, known)
    this.#inFlight.set(names, { promise, isWanted: wanted })
    return promise
  }

  /** Mints a leaf, or gives the one that is kept new ticket keys when its certificate is still good. */
  #issueOrReuse (names: string, host: string): Leaf {
    const now = Date.now()
    this.#onMint(now)
    const cached = this.#leaves.get(names)
    const issued = cached !== undefined && now < cached.renewAt
      ? this.#issuer.renewTickets(cached, now)
      : this.#mint(names.split(' '), host, now)
    this.#leaves.set(names, issued)
    return issued.leaf
  }

  #mint (names: readonly string[], host: string, now: number): IssuedLeaf {
    const start = performance.now()
    const { serialNumber, ...issued } = this.#issuer.mint(names, now)
    if (minted.hasSubscribers) {
      const { notAfter } = issued.leaf
      const durationMs = performance.now() - start
      const message: CertificateMinted = { names, host, serialNumber, notAfter, durationMs }
      minted.publish(message)
    }
    return issued
  }
}

function publishReuse (leaf: Leaf, host: string): Leaf {
  if (reused.hasSubscribers) {
    const message: CertificateReused = { names: leaf.names, host }
    reused.publish(message)
  }
  return leaf
}
