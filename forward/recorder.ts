/** Hands an exchange out to those who record it: head by head, and bodies chunk by chunk at the pace of the slowest. */
import { Transform } from 'node:stream'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type {
  Exchange, ExchangeConnection, ExchangeEnd, ExchangeListener, ExchangeRequest, ExchangeResponse, ExchangeSink
} from '../types/forward'
import type { Target } from './target'
import type { Observer } from './upstream'

type Timings = { -readonly [Name in keyof ExchangeEnd['timings']]: ExchangeEnd['timings'][Name] }

export class Recorder implements Observer {
  readonly #request: FastifyRequest
  readonly #target: Target
  #sinks: ExchangeSink[]
  readonly #begin = performance.now()
  readonly #timings: Timings = { connected: null, requestSent: null, responseHead: null, end: 0 }
  #startBody: () => void = () => {}
  #ended = false

  constructor (request: FastifyRequest, target: Target, listeners: readonly ExchangeListener[], webSocket: boolean) {
    this.#request = request
    this.#target = target
    const { id, method } = request
    const exchange: Exchange = { id, request, url: target.url, method, startedAt: Date.now(), webSocket }
    this.#sinks = []
    for (const listener of listeners) {
      const sink = this.#guarded(() => listener(exchange))
      if (sink) this.#sinks.push(sink)
    }
  }

  /** Whether anybody records. */
  get active (): boolean {
    return this.#sinks.length > 0
  }

  /** The fields of the request, as those who record want them to be sent. */
  requestHeaders (rawHeaders: readonly string[]): readonly string[] {
    let fields = rawHeaders
    this.#each((sink) => { fields = sink.requestHeaders?.(fields) ?? fields })
    return fields
  }

  begun (request: Omit<ExchangeRequest, 'url' | 'path'>, connection: ExchangeConnection): void {
    this.#timings.connected = this.#elapsed()
    const { url, path } = this.#target
    this.#each((sink) => sink.request?.({ ...request, url, path }, connection))
    this.#startBody()
  }

  sent (): void {
    this.#timings.requestSent = this.#elapsed()
  }

  informational (response: ExchangeResponse): void {
    this.#each((sink) => sink.informational?.(response))
  }

  response ({ httpVersion, statusCode, statusMessage, rawHeaders }: ExchangeResponse): void {
    this.#timings.responseHead = this.#elapsed()
    this.#each((sink) => sink.response?.({ httpVersion, statusCode, statusMessage, rawHeaders }))
  }

  /** The content of the request, recorded on its way; the same stream when nobody records. */
  requestBody (body: Readable, trailers: () => readonly string[]): Readable {
    if (!this.active) return body
    const write = (sink: ExchangeSink, chunk: Buffer): void | Promise<void> => sink.requestData?.(chunk)
    const tee = this.#tee(body, write, (sink) => sink.requestTrailers?.(trailers()))
    // Not before its head.
    this.#startBody = () => body.pipe(tee)
    return tee
  }

  responseBody (body: Readable, trailers: () => readonly string[]): Readable {
    if (!this.active) return body
    const write = (sink: ExchangeSink, chunk: Buffer): void | Promise<void> => sink.responseData?.(chunk)
    return body.pipe(this.#tee(body, write, (sink) => sink.responseTrailers?.(trailers())))
  }

  /** A promise when a recorder holds the message back. */
  message (from: 'client' | 'server', data: Buffer, binary: boolean): Promise<unknown> | undefined {
    return this.#all((sink) => sink.message?.(from, data, binary))
  }

  /** The end of the exchange; what comes after it is not recorded. */
  end (error: Error | null): void {
    if (this.#ended) return
    this.#ended = true
    this.#timings.end = this.#elapsed()
    this.#each((sink) => sink.end?.({ error, timings: this.#timings }))
  }

  #tee (
    body: Readable,
    write: (sink: ExchangeSink, chunk: Buffer) => void | Promise<void>,
    finish: (sink: ExchangeSink) => void
  ): Transform {
    const tee = new Transform({
      transform: (chunk: Buffer, _encoding, callback) => {
        const pending = this.#all((sink) => write(sink, chunk))
        if (pending === undefined) callback(null, chunk)
        else pending.then(() => callback(null, chunk))
      },
      flush: (callback) => {
        this.#each(finish)
        callback()
      },
      destroy: (err, callback) => {
        body.destroy()
        callback(err)
      }
    })
    body.on('error', (err) => tee.destroy(err))
    // Who reads it may have gone already.
    tee.on('error', () => {})
    return tee
  }

  #each (call: (sink: ExchangeSink) => void): void {
    for (const sink of this.#sinks) this.#guarded(() => call(sink), sink)
  }

  #all (call: (sink: ExchangeSink) => void | Promise<void>): Promise<unknown> | undefined {
    const pending: Array<Promise<void>> = []
    for (const sink of this.#sinks) {
      const promise = this.#guarded(() => call(sink), sink)
      if (promise) pending.push(promise.catch((err: unknown) => this.#drop(sink, err)))
    }
    return pending.length === 0 ? undefined : Promise.all(pending)
  }

  /** A recorder that fails records no more; the exchange goes on. */
  #guarded<T> (call: () => T, sink?: ExchangeSink): T | undefined {
    try {
      return call()
    } catch (err) {
      this.#drop(sink, err)
      return undefined
    }
  }

  #drop (sink: ExchangeSink | undefined, err: unknown): void {
    this.#sinks = this.#sinks.filter((other) => other !== sink)
    this.#request.log.error({ err }, 'fastify-prox: an exchange is no longer recorded')
  }

  #elapsed (): number {
    return performance.now() - this.#begin
  }
}
