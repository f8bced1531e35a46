/** Checks options against rules: one way for the options of the plugin, of the CA, and those inside of them. */
import { FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION, isPemText, show } from './errors'

/** What one option takes. */
export interface Rule {
  /** For the message of FST_PROX_INVALID_OPTION; a function when the message depends on the wrong value. */
  readonly takes: string | ((value: unknown) => string)
  readonly accepts: (value: unknown) => boolean
  /** The options within, where the value is an object of options. */
  readonly options?: Rules
}

export type Rules<Name extends string = string> = Readonly<Record<Name, Rule>>

export function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isFilledString (value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

export const OBJECT: Rule = { takes: 'an object', accepts: isObject }
export const BOOLEAN: Rule = { takes: 'true or false', accepts: (value) => typeof value === 'boolean' }
export const FUNCTION: Rule = { takes: 'a function', accepts: (value) => typeof value === 'function' }
export const STRING: Rule = { takes: 'a string that is not empty', accepts: isFilledString }
/** The content of a file in place of its path would end in the names of directories and in errors. */
export const PATH: Rule = { takes: 'a path', accepts: (value) => isFilledString(value) && !isPemText(value) }
export const WHOLE_NUMBER: Rule = {
  takes: 'a whole number from 1', accepts: (value) => Number.isSafeInteger(value) && (value as number) > 0
}
export const LIMIT: Rule = {
  takes: 'a whole number from 1, or Infinity', accepts: (value) => value === Infinity || WHOLE_NUMBER.accepts(value)
}

const LONGEST_TIMEOUT = 2 ** 31 - 1
export const MILLISECONDS: Rule = {
  takes: `whole milliseconds from 0 to ${LONGEST_TIMEOUT}`,
  accepts: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LONGEST_TIMEOUT
}

/** How many characters to insert, delete, replace or swap with their neighbour turn one text into the other. */
function distance (from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + same)
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1)
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}

/** The name that was probably meant; `undefined` when none is near. */
function nearest (name: string, names: readonly string[]): string | undefined {
  const plain = (text: string) => text.toLowerCase().replace(/[-_]/g, '')
  // No option has a name that long, and a text of any length may come here.
  if (name.length > 64) return undefined
  const [best] = names
    .map((candidate) => ({ candidate, far: distance(plain(name), plain(candidate)) }))
    .sort((a, b) => a.far - b.far)
  return best!.far <= Math.max(1, Math.floor(name.length / 3)) ? best!.candidate : undefined
}

/** The error for an option that does not exist, which names the one that was probably meant, or else all. */
function unknownOption (name: string, names: readonly string[], scope = ''): Error {
  const meant = nearest(name, names)
  const advice = meant === undefined ? `The options are ${names.join(', ')}` : `Did you mean "${scope}${meant}"?`
  return new FST_PROX_UNKNOWN_OPTION(/^\w{1,40}$/.test(name) ? `"${scope}${name}"` : show(name), advice)
}

/**
 * Checks options; one that is `undefined` counts as left out.
 *
 * @param scope what stands before each name in errors, such as `'ca.'`.
 * @throws FST_PROX_UNKNOWN_OPTION, FST_PROX_INVALID_OPTION
 */
export function checkOptions (options: object, rules: Rules, scope = ''): void {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(rules, name)) throw unknownOption(name, Object.keys(rules), scope)
    if (value === undefined) continue
    const { takes, accepts, options: within } = rules[name]!
    if (!accepts(value)) {
      const text = typeof takes === 'string' ? takes : takes(value)
      throw new FST_PROX_INVALID_OPTION(scope + name, text, show(value))
    }
    if (within !== undefined) checkOptions(value, within, `${scope}${name}.`)
  }
}
