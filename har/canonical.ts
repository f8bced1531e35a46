/** Requests in the form in which they are compared: the URL as browsers write it, content by what it means. */
import { createHash } from 'node:crypto'
import { isForm, isJson } from './redact'
import type { Redactor } from './redact'

/** Content in the form in which it is compared; `value` tells two apart for people. */
export interface CanonicalBody {
  readonly key: string
  /** The JSON, or the form by field; `undefined`: neither. */
  readonly value: unknown
  readonly size: number
}

/** One side of a comparison: a recorded request, or one that asks. */
export interface Compared {
  readonly method: string
  /** The URL, canonical. */
  readonly location: string
  readonly body: CanonicalBody
}

const MULTIPART = /^multipart\/[^;]+;.*?\bboundary=(?:"([^"]+)"|([^;\s]+))/i

export function canonicalBody (mimeType: string, body: Buffer, redactor: Redactor): CanonicalBody {
  const size = body.length
  if (size === 0) return { key: '', value: undefined, size }
  if (isJson(mimeType)) {
    try {
      const value: unknown = JSON.parse(redactor.text(mimeType, String(body)))
      return { key: `json:${JSON.stringify(sorted(value))}`, value, size }
    } catch {
      // Compared as it is.
    }
  }
  if (isForm(mimeType)) {
    const value = byName(redactor.text(mimeType, String(body)))
    return { key: `form:${JSON.stringify(sorted(value))}`, value, size }
  }
  const boundary = MULTIPART.exec(mimeType)
  const text = body.toString('latin1')
  const compared = boundary === null ? text : text.replaceAll(boundary[1] ?? boundary[2]!, '')
  return { key: `sha1:${createHash('sha1').update(compared, 'latin1').digest('hex')}`, value: undefined, size }
}

/** Parameters of a form or a query: a list for each name. */
export function byName (text: string): Record<string, string[]> {
  const values: Record<string, string[]> = Object.create(null)
  for (const [name, value] of new URLSearchParams(text)) (values[name] ??= []).push(value)
  return values
}

/** The same value with the members of objects in the order of their names. */
function sorted (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, member]) => [name, sorted(member)]))
}

export function canonicalUrl (url: string): string {
  if (!URL.canParse(url)) return url
  const parsed = new URL(url)
  parsed.hash = ''
  return parsed.href
}
