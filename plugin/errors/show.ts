/** How messages show values that came from elsewhere: readable, and no secrets. */
import { inspect } from 'node:util'

/** Characters of a string that a message shows: enough for a host or a realm, too few for a private key. */
const LONGEST_SHOWN = 60
const ELEMENTS_SHOWN = 3

/** Whether a text is PEM: a key or a certificate, where its file's path or something else belongs. */
export function isPemText (text: string): boolean {
  return text.includes('-----BEGIN')
}

/** A long text of base64 or hexadecimal digits alone, as keys and tokens are. */
const DIGITS_ALONE = /^[\w+/=\s-]{41,}$/

/**
 * A value as a message shows it, by its kind alone: a secret may have come to the wrong place, and messages go into
 * logs and answers.
 */
export function kindOf (value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return value === '' ? 'an empty string' : isPemText(value) ? 'a PEM text' : 'a string'
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Error) return 'an Error'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/**
 * A value that should be no secret as a message shows it: numbers, short strings and lists of them as they are,
 * anything else by its kind, and so is a string that looks like a key.
 */
export function show (value: unknown): string {
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') {
    return value.length > LONGEST_SHOWN || isPemText(value) || DIGITS_ALONE.test(value) ? kindOf(value) : inspect(value)
  }
  if (!Array.isArray(value)) return kindOf(value)
  const shown = value.slice(0, ELEMENTS_SHOWN)
  const elements = shown.map((element) => Array.isArray(element) ? kindOf(element) : show(element))
  return `[${elements.join(', ')}${value.length > ELEMENTS_SHOWN ? ', …' : ''}]`
}

/** The message of whatever was thrown; code that is not ours throws all kinds of values, or nothing. */
export function reasonOf (err: unknown): string {
  return err instanceof Error ? err.message : `it failed with ${show(err)}`
}
