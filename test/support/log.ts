/**
 * A logger for Fastify that keeps what it is told: `Fastify({ loggerInstance: log.logger })`, or let `start` do it.
 *
 *   const log = new Log()
 *   log.lines                       every line, `{ level, msg, ...fields }`, of level trace and above
 *   log.messages('info')            what was said at a level
 *   await log.next(/incoming/)      the first line, past or to come, that matches
 */
import { EventEmitter, once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const

export type Level = typeof LEVELS[number]

export interface Line {
  readonly level: Level
  readonly msg: string
  /** What child loggers and the call itself added, serialisers of Fastify's not applied. */
  readonly [field: string]: unknown
}

export class Log extends EventEmitter {
  readonly lines: Line[] = []
  readonly logger = this.#child({})

  messages (level: Level): string[] {
    return this.lines.filter((line) => line.level === level).map(({ msg }) => msg)
  }

  count (pattern: RegExp): number {
    return this.lines.filter(({ msg }) => pattern.test(msg)).length
  }

  async next (pattern: RegExp): Promise<Line> {
    for (;;) {
      const line = this.lines.find(({ msg }) => pattern.test(msg))
      if (line !== undefined) return line
      await once(this, 'line')
    }
  }

  #child (bindings: object): FastifyBaseLogger {
    const write = (level: Level) => (first: unknown, second?: unknown): void => {
      const fields = first instanceof Error ? { err: first } : typeof first === 'object' ? first : {}
      const msg = typeof first === 'string' ? first : second ?? (first instanceof Error ? first.message : '')
      this.lines.push({ ...bindings, ...fields, level, msg: String(msg) })
      this.emit('line')
    }
    return {
      ...Object.fromEntries(LEVELS.map((level) => [level, write(level)])),
      level: 'trace',
      silent: () => {},
      child: (more: object) => this.#child({ ...bindings, ...more })
    } as unknown as FastifyBaseLogger
  }
}
