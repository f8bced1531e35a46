/** `--record`, `--replay` and `--warc`: recorders and archives of an application, and what came by. */
import type { FastifyInstance } from 'fastify'
import '../types/forward'
import har from '../har/index'
import warc from '../warc/index'

export interface TrafficOptions {
  record?: string
  replay?: string
  warc?: string
}

/** Whether anything is recorded or replayed. */
export function hasTraffic ({ record, replay, warc }: TrafficOptions): boolean {
  return record !== undefined || replay !== undefined || warc !== undefined
}

/** Whether a path is that of a HAR file; all others are those of WARC files. */
function isHar (path: string): boolean {
  return /\.har$/i.test(path)
}

/**
 * Registers what records, and what replays from a HAR file: both stand in the way of `reply.forward()`.
 * @param traffic counts it
 */
export async function registerTraffic (
  app: FastifyInstance, { record, replay, warc: directory }: TrafficOptions, traffic: Traffic
): Promise<void> {
  if (record !== undefined) await app.register(har, { file: record, mode: 'record' })
  if (directory !== undefined) await app.register(warc, { directory })
  if (replay !== undefined && isHar(replay)) await app.register(har, { file: replay, mode: 'replay' })
  app.onExchange(() => ({ responseData: (chunk) => traffic.addBytes(chunk.length) }))
}

/** Registers routes that replay WARC files, where there are none. */
export async function registerArchive (app: FastifyInstance, { replay }: TrafficOptions): Promise<void> {
  if (replay !== undefined && !isHar(replay)) await app.register(warc.replay, { files: replay })
}

/** Counts what is recorded or replayed. */
export class Traffic {
  readonly #options: TrafficOptions
  readonly #hosts = new Set<string>()
  #requests = 0
  #bytes = 0
  #misses = 0

  /** @param app to which nothing has been added yet */
  constructor (app: FastifyInstance, options: TrafficOptions) {
    this.#options = options
    app.addHook('onResponse', async ({ proxy }, reply) => {
      if (proxy === null || proxy === undefined) return
      this.#hosts.add(proxy.host)
      this.#requests++
      // What is recorded is counted as it comes.
      if (options.replay !== undefined) this.addBytes(Number(reply.getHeader('content-length') ?? 0))
    })
    app.addHook('onError', async (_request, _reply, { code }) => {
      if (code === 'FST_PROX_NOT_RECORDED' || code === 'FST_PROX_NOT_ARCHIVED') this.#misses++
    })
  }

  addBytes (count: number): void {
    this.#bytes += count
  }

  /** One line: `Recorded to site.har: 2 hosts, 10 requests, 1.2 MB`. */
  line (): string {
    const { record, replay, warc } = this.#options
    const hosts = count(this.#hosts.size, 'host')
    const counts = `${hosts}, ${count(this.#requests, 'request')}, ${(this.#bytes / 1e6).toFixed(1)} MB`
    if (replay !== undefined) return `Replayed from ${replay}: ${counts}, ${count(this.#misses, 'miss', 'misses')}`
    return `Recorded to ${[record, warc].filter((path) => path !== undefined).join(' and ')}: ${counts}`
  }
}

function count (number: number, one: string, several = `${one}s`): string {
  return `${number} ${number === 1 ? one : several}`
}
