/** Writes the heads of WARC records, and of the HTTP messages in them. */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { ExchangeConnection, ExchangeRequest, ExchangeResponse } from '../types/forward'

export type Fields = ReadonlyArray<readonly [name: string, value: string | null]>

/** Of one connection; bodies in records have no transfer coding, and credentials for an upstream proxy are ours. */
const NOT_WRITTEN = new Set(['transfer-encoding', 'proxy-authorization', 'proxy-connection'])

/** What of a URL no WARC field and no SURT can hold as it is. */
const NOT_ASCII = /[^\x21-\x7e]/gu

export function newRecordId (): string {
  return `<urn:uuid:${randomUUID()}>`
}

/** The head of a record; fields that are `null` are left out. */
export function recordHead (type: string, length: number, fields: Fields): Buffer {
  let text = `WARC/1.1\r\nWARC-Type: ${type}\r\n`
  for (const [name, value] of fields) if (value !== null) text += `${name}: ${value}\r\n`
  return Buffer.from(`${text}Content-Length: ${length}\r\n\r\n`)
}

export function requestHead ({ method, url, path, rawHeaders }: ExchangeRequest): Buffer {
  // HTTP/2 names the host in `:authority`.
  const named = rawHeaders.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'host')
  const host = named ? [] : ['Host', new URL(url).host]
  return messageHead(`${method} ${path} HTTP/1.1`, [...host, ...rawHeaders])
}

export function responseHead ({ httpVersion, statusCode, statusMessage, rawHeaders }: ExchangeResponse): Buffer {
  const version = httpVersion === '1.0' ? '1.0' : '1.1'
  const reason = httpVersion === '2' ? STATUS_CODES[statusCode] ?? '' : statusMessage
  return messageHead(`HTTP/${version} ${statusCode} ${reason}`, rawHeaders)
}

function messageHead (startLine: string, rawHeaders: readonly string[]): Buffer {
  let text = `${startLine}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name[0] !== ':' && !NOT_WRITTEN.has(name.toLowerCase())) text += `${name}: ${rawHeaders[i + 1]!}\r\n`
  }
  return Buffer.from(`${text}\r\n`, 'latin1')
}

/** The URL byte for byte, with what is not ASCII percent-encoded, and without a fragment. */
export function targetUri (url: string): string {
  const end = url.indexOf('#')
  return (end === -1 ? url : url.slice(0, end)).replace(NOT_ASCII, percentEncode)
}

/** Request targets come as Latin-1; anything else was text. */
function percentEncode (char: string): string {
  const bytes = Buffer.from(char, char.codePointAt(0)! > 0xff ? 'utf8' : 'latin1')
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/** What is known of the connection to the site: how it was spoken to, and where it is unless a proxy was between. */
export function connectionFields ({ remoteAddress, via, tlsVersion, cipher, alpn }: ExchangeConnection): Fields {
  const address = via === null && remoteAddress !== undefined ? remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '') : null
  return [
    ['WARC-IP-Address', address],
    ['WARC-Protocol', alpn === 'h2' ? 'h2' : 'http/1.1'],
    ['WARC-Protocol', tlsVersion === null ? null : tlsName(tlsVersion)],
    ['WARC-Cipher-Suite', cipher]
  ]
}

/** `TLSv1.3` is `tls/1.3` there, and `TLSv1` is `tls/1.0`. */
function tlsName (version: string): string {
  const number = version.slice('TLSv'.length)
  return `tls/${number === '1' ? '1.0' : number}`
}
