/**
 * Text put into other text. What comes from outside (the name of a CA, a host, an address) is escaped for the
 * language that it lands in: HTML, XML or a POSIX shell.
 */
import { createHash } from 'node:crypto'

/** Markup that is safe to insert as it stands. */
export class Markup {
  readonly #text: string

  constructor (text: string) {
    this.#text = text
  }

  toString (): string {
    return this.#text
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;'
}

// XML 1.0 2.2 has no way to write these, not even as a reference; lone surrogates have no UTF-8.
// eslint-disable-next-line no-control-regex -- they are what is looked for
const UNWRITABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/gu

/** Escapes text for HTML and XML, in elements and in quoted attributes. What XML cannot hold becomes U+FFFD. */
export function escapeMarkup (text: string): string {
  return text.replace(UNWRITABLE, '\ufffd').replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
}

/** A template of HTML or XML: what is inserted is escaped, unless it is `Markup`; arrays are joined. */
export function markup (strings: TemplateStringsArray, ...values: Array<string | Markup | Markup[]>): Markup {
  const insert = (value: string | Markup | Markup[]): string => {
    if (Array.isArray(value)) return value.join('')
    return typeof value === 'string' ? escapeMarkup(value) : value.toString()
  }
  return new Markup(String.raw({ raw: strings }, ...values.map(insert)))
}

/** One word for a POSIX shell (Shell Command Language 2.2), quoted where it must be: nothing in it is expanded. */
export function quoteShell (word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** A source expression for an inline style or script (Content Security Policy Level 3, 2.3.1). */
export function sourceHash (text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
