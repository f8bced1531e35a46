/** The rules for options of `fastify-prox/har`. */
import type { HarMode, HarOptions } from '../types/har'
import { checkOptions, FUNCTION, PATH, WHOLE_NUMBER } from '../plugin/option-rules'
import type { Rules } from '../plugin/option-rules'

const MODES: readonly unknown[] = ['record', 'replay', 'update', 'off'] satisfies HarMode[]

const NAMES = /^[\w-]+$/

const REPLAY_RULES: Rules = {
  match: FUNCTION,
  redact: {
    takes: 'a list of names, or false',
    accepts: (value) => value === false ||
      (Array.isArray(value) && value.every((name) => typeof name === 'string' && NAMES.test(name)))
  }
}

const FILE: Rules = { file: PATH }

const RULES: Rules = {
  ...FILE,
  ...REPLAY_RULES,
  mode: { takes: "'record', 'replay', 'update' or 'off'", accepts: (value) => MODES.includes(value) },
  inlineLimit: WHOLE_NUMBER
}

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION */
export function checkHarOptions (options: HarOptions): void {
  // One that is left out is checked too: without a file there is nothing to do.
  checkOptions({ ...options, file: options.file ?? null }, RULES)
}

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION */
export function checkReplayOptions (file: string, options: object): void {
  checkOptions({ ...options, file: file ?? null }, { ...FILE, ...REPLAY_RULES })
}
