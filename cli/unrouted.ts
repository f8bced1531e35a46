/** Remembers the requests that an application had no route for. */
import type { FastifyInstance } from 'fastify'

/** How many different ones are told one by one. */
const SHOWN_MAX = 100

export class Unrouted {
  readonly #counts = new Map<string, number>()
  /** Of those that were too many to be told one by one. */
  #others = 0

  /** @param app to which nothing has been added yet */
  constructor (app: FastifyInstance) {
    app.addHook('onResponse', async ({ is404, method, proxy }) => {
      if (is404 && proxy !== null && proxy !== undefined) this.#add(`${method} ${withoutQuery(proxy.url)}`)
    })
  }

  /** Lines for people; empty when every request had a route. */
  report (): string {
    const others = this.#others === 0 ? [] : [`  and ${this.#others} more`]
    const lines = [...this.#counts].map(([request, count]) => `  ${request}${count === 1 ? '' : ` (${count} times)`}`)
    return lines.length === 0 ? '' : `${['Requests that had no route:', ...lines, ...others].join('\n')}\n`
  }

  #add (request: string): void {
    const count = this.#counts.get(request) ?? 0
    if (count > 0 || this.#counts.size < SHOWN_MAX) this.#counts.set(request, count + 1)
    else this.#others++
  }
}

/** Queries hold keys and tokens. */
function withoutQuery (url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : `${url.slice(0, end)}?…`
}
