/** The rules for options of `fastify-prox/warc`. */
import type { WarcOptions, WarcReplayOptions } from '../types/warc'
import { BOOLEAN, checkOptions, isFilledString, isObject, PATH } from '../plugin/option-rules'
import type { Rule, Rules } from '../plugin/option-rules'

const UNITS: Readonly<Record<string, number>> = {
  B: 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30
}

const DEFAULT_ROTATE = 1e9

/** Bytes of a size such as `'1GB'`; `NaN` for anything else. */
function bytesOf (value: unknown): number {
  if (typeof value === 'number') return value
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?(\w+)$/.exec(String(value)) ?? []
  return Object.hasOwn(UNITS, unit) ? Math.floor(Number(number) * UNITS[unit]!) : NaN
}

const isSize = (value: unknown): boolean => Number.isSafeInteger(bytesOf(value)) && bytesOf(value) > 0

/** A field name of `application/warc-fields`, and a value on one line. */
const INFO_NAME = /^[\w-]+$/
const ONE_LINE = /^[^\r\n]*$/

const PATHS: Rule = {
  takes: 'a path, or a list of paths',
  accepts: (value) => Array.isArray(value) ? value.length > 0 && value.every(PATH.accepts) : PATH.accepts(value)
}

const RULES: Rules = {
  directory: PATH,
  prefix: {
    takes: 'letters, digits, -, _ and .',
    accepts: (value) => isFilledString(value) && /^\w[\w.-]{0,99}$/.test(value)
  },
  rotate: { takes: "bytes, or a size such as '1GB'", accepts: isSize },
  dedup: BOOLEAN,
  info: {
    takes: 'an object of one-line texts',
    accepts: (value) => isObject(value) && Object.entries(value)
      .every(([name, text]) => INFO_NAME.test(name) && typeof text === 'string' && ONE_LINE.test(text))
  }
}

const REPLAY_RULES: Rules = {
  files: PATHS,
  index: PATHS,
  date: {
    takes: 'a date',
    accepts: (value) => (typeof value === 'string' || value instanceof Date) && !Number.isNaN(new Date(value).getTime())
  }
}

export type CheckedOptions = Required<Omit<WarcOptions, 'rotate'>> & { rotate: number }

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION */
export function readWarcOptions (options: WarcOptions): CheckedOptions {
  // One that is left out is checked too: without a folder there is nothing to do.
  checkOptions({ ...options, directory: options.directory ?? null }, RULES)
  const { directory, prefix = 'fastify-prox', rotate = DEFAULT_ROTATE, dedup = true, info = {} } = options
  return { directory, prefix, rotate: bytesOf(rotate), dedup, info }
}

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION */
export function checkReplayOptions (options: WarcReplayOptions & { prefix?: unknown, logLevel?: unknown }): void {
  // Those of Fastify's register().
  const { prefix, logLevel, ...own } = options
  checkOptions({ ...own, files: own.files ?? null }, REPLAY_RULES)
}
