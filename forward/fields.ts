/**
 * Header fields between two hops: those of one connection end here (RFC 9110 7.6.1), the others go on as they are, in
 * their order, repeated ones apart. Lists of names and values by turns, as `rawHeaders` has them.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { ForwardHeaders } from '../types/forward'

/** Fields of one connection, by the specification or by custom. */
const HOP_BY_HOP = new Set([
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization',
  'proxy-connection', 'te', 'transfer-encoding', 'upgrade', 'http2-settings'
])

/** Fields that frame or address a message: a `Connection` that lists them is an attack on the next hop. */
const NEVER_LISTED = new Set(['host', 'content-length', 'content-type', 'trailer', 'via', 'date'])

/** The fields that go on, with `:`-fields of HTTP/2 left out. */
export function endToEnd (rawHeaders: readonly string[], also?: ReadonlySet<string>): string[] {
  const listed = connectionOptions(rawHeaders)
  const kept: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const key = name.toLowerCase()
    if (name[0] === ':' || HOP_BY_HOP.has(key) || listed?.has(key) || also?.has(key)) continue
    kept.push(name, rawHeaders[i + 1]!)
  }
  return kept
}

/** What `Connection` lists; `null`: nothing that is a field. */
function connectionOptions (rawHeaders: readonly string[]): Set<string> | null {
  let listed: Set<string> | null = null
  for (const value of valuesOf(rawHeaders, 'connection')) {
    const lower = value.toLowerCase()
    if (lower === 'keep-alive' || lower === 'close') continue
    listed ??= new Set()
    for (const option of lower.split(',')) {
      const name = option.trim()
      if (!NEVER_LISTED.has(name)) listed.add(name)
    }
  }
  return listed
}

/** The values of a field, in order. */
export function valuesOf (rawHeaders: readonly string[], name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length === name.length && rawHeaders[i]!.toLowerCase() === name) values.push(rawHeaders[i + 1]!)
  }
  return values
}

/** Sets and removes fields. A field that was there keeps its place. */
export function applyHeaders (fields: readonly string[], changes: ForwardHeaders): string[] {
  const rest = new Map<string, [name: string, values: readonly string[]]>()
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) continue
    validateHeaderName(name)
    const values = value === null ? [] : (Array.isArray(value) ? value as string[] : [String(value)])
    for (const each of values) validateHeaderValue(name, each)
    rest.set(name.toLowerCase(), [name, values])
  }
  const result: string[] = []
  const seen = new Set<string>()
  for (let i = 0; i < fields.length; i += 2) {
    const key = fields[i]!.toLowerCase()
    const change = rest.get(key)
    if (change === undefined) result.push(fields[i]!, fields[i + 1]!)
    else if (!seen.has(key)) for (const value of change[1]) result.push(fields[i]!, value)
    if (change !== undefined) seen.add(key)
  }
  for (const [key, [name, values]] of rest) {
    if (!seen.has(key)) for (const value of values) result.push(name, value)
  }
  return result
}

/** Whether a message has passed a proxy of this name (RFC 9110 7.6.3). */
export function hasPassed (rawHeaders: readonly string[], pseudonym: string): boolean {
  return valuesOf(rawHeaders, 'via').some((value) => value.includes(pseudonym) &&
    value.split(',').some((entry) => entry.trim().split(/\s+/)[1] === pseudonym))
}

/** Fields grouped by lower-case name, in the order in which the names come first: a value, or a list of them. */
export function group (fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i < fields.length; i += 2) {
    const key = fields[i]!.toLowerCase()
    const before = headers[key]
    const value = fields[i + 1]!
    if (before === undefined) headers[key] = value
    else if (Array.isArray(before)) before.push(value)
    else headers[key] = [before, value]
  }
  return headers
}
