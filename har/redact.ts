/** Takes secrets out of what is recorded, and out of what is compared with it. */

/** What stands in the place of a secret. */
const REDACTED = 'redacted'

/** Credentials, by their usual names. */
const BY_DEFAULT = [
  'authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'x-auth-token', 'x-access-token',
  'x-csrf-token', 'x-xsrf-token', 'x-goog-api-key', 'x-amz-security-token', 'x-amz-signature',
  'access-token', 'refresh-token', 'id-token', 'client-secret', 'client-assertion', 'api-key', 'password', 'passwd'
]

/** Fields that hold a URL, whose query may hold what the query of a request may. */
const URLS = new Set(['location', 'referer', 'content-location'])

const JSON_TYPE = /^[^;]*[/+]json\s*(?:;|$)/i
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i

/** Names of fields that are remembered: those of one site are few, those of an attacker as many as he likes. */
const REMEMBERED = 1000

export class Redactor {
  readonly #fieldKinds = new Map<string, 'plain' | 'url' | 'secret'>()
  readonly #name: RegExp
  readonly #member: RegExp
  /** The beginning of a member whose value is an array or an object. */
  readonly #nested: RegExp

  /** @param names in any case, with `-`, `_` or nothing between their words; `false`: nothing is redacted */
  constructor (names: readonly string[] | false = BY_DEFAULT) {
    const words = (name: string): string => name.split(/[-_]/).map((word) => word.replace(/\W/g, '\\$&')).join('[-_]?')
    const any = names === false || names.length === 0 ? '(?!)' : `(?:${names.map(words).join('|')})`
    this.#name = new RegExp(`^${any}$`, 'i')
    this.#member = new RegExp(`("${any}"\\s*:\\s*)(?:"(?:[^"\\\\]|\\\\.)*"|-?\\d[\\d.eE+-]*)`, 'gi')
    this.#nested = new RegExp(`"${any}"\\s*:\\s*[[{]`, 'i')
  }

  /** Names and values by turns, to pairs. */
  fields (rawHeaders: readonly string[]): Array<[name: string, value: string]> {
    const fields: Array<[string, string]> = []
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!
      fields.push([name, this.field(name, rawHeaders[i + 1]!)])
    }
    return fields
  }

  field (name: string, value: string): string {
    const kind = this.#kindOf(name)
    if (kind === 'plain') return value
    if (kind === 'url') return this.url(value)
    switch (name.toLowerCase()) {
      case 'cookie': return value.replace(/(^|;)(\s*[^=;]+)=[^;]*/g, `$1$2=${REDACTED}`)
      case 'set-cookie': return value.replace(/^([^=;]*=)[^;]*/, `$1${REDACTED}`)
      case 'authorization':
      case 'proxy-authorization': return value.replace(/^(\w+ )?.*$/s, `$1${REDACTED}`)
      default: return REDACTED
    }
  }

  #kindOf (name: string): 'plain' | 'url' | 'secret' {
    let kind = this.#fieldKinds.get(name)
    if (kind === undefined) {
      kind = URLS.has(name.toLowerCase()) ? 'url' : this.#name.test(name) ? 'secret' : 'plain'
      if (this.#fieldKinds.size < REMEMBERED) this.#fieldKinds.set(name, kind)
    }
    return kind
  }

  /** The query of a URL, or of its relative form. */
  url (url: string): string {
    const query = url.indexOf('?')
    if (query === -1) return url
    const fragment = url.indexOf('#', query)
    const end = fragment === -1 ? url.length : fragment
    return url.slice(0, query + 1) + this.#form(url.slice(query + 1, end)) + url.slice(end)
  }

  /** Content that is text. */
  text (mimeType: string, text: string): string {
    if (JSON_TYPE.test(mimeType)) return this.#json(text)
    return FORM_TYPE.test(mimeType) ? this.#form(text) : text
  }

  /** Leaves what is no secret as it was written: numbers of any length, blanks. */
  #json (text: string): string {
    const redacted = text.replace(this.#member, `$1"${REDACTED}"`)
    if (!this.#nested.test(redacted)) return redacted
    const isSecret = (name: string, value: unknown): boolean =>
      typeof value === 'object' && value !== null && this.#name.test(name)
    try {
      return JSON.stringify(JSON.parse(redacted, (name, value: unknown) => isSecret(name, value) ? REDACTED : value))
    } catch {
      // Not even JSON: nobody knows where the secret ends.
      return REDACTED
    }
  }

  #form (text: string): string {
    return text.replace(/([^&=]+)=([^&]*)/g, (pair, name: string) => {
      return this.#name.test(formName(name)) ? `${name}=${REDACTED}` : pair
    })
  }
}

/** The name of a parameter, decoded; `user[password]` is that of `password`. */
function formName (name: string): string {
  const [[decoded]] = [...new URLSearchParams(`${name}=`)] as [[string, string]]
  return /\[([^\]]+)\]$/.exec(decoded)?.[1] ?? decoded
}

export function isJson (mimeType: string): boolean {
  return JSON_TYPE.test(mimeType)
}

export function isForm (mimeType: string): boolean {
  return FORM_TYPE.test(mimeType)
}
