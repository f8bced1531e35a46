/** Builds the parts of a HAR entry: what Chrome DevTools writes, of what was on the wire. */
import { isUtf8 } from 'node:buffer'
import type { ExchangeConnection, ExchangeEnd } from '../types/forward'
import type { HarContent, HarCookie, HarPair, HarPostData, HarTimings } from '../types/har'
import type { Collected } from './body'
import { isForm } from './redact'
import type { Redactor } from './redact'

type Field = readonly [name: string, value: string]

/** Types whose content is text if it is UTF-8; anything else is base64. */
const TEXT = /^(?:text\/|[^;]*[/+](?:json|xml|javascript|ecmascript|x-javascript|x-www-form-urlencoded|graphql)\b)/i

export function valueOf (fields: readonly Field[], name: string): string | undefined {
  return fields.find(([each]) => each.toLowerCase() === name)?.[1]
}

/** Fields as pairs; those of HTTP/2 that begin with `:` are told by method, URL and status. */
export function pairsOf (fields: readonly Field[]): HarPair[] {
  return fields.filter(([name]) => name[0] !== ':').map(([name, value]) => ({ name, value }))
}

export function queryOf (url: string): HarPair[] {
  const query = url.indexOf('?')
  return query === -1 ? [] : parameters(url.slice(query + 1))
}

function parameters (text: string): HarPair[] {
  return [...new URLSearchParams(text)].map(([name, value]) => ({ name, value }))
}

export function cookiesOf (fields: readonly Field[]): HarCookie[] {
  return fields.filter(([name]) => name.toLowerCase() === 'cookie')
    .flatMap(([, value]) => value.split(';')).map(cookiePair).filter(({ name }) => name !== '')
}

export function setCookiesOf (fields: readonly Field[]): HarCookie[] {
  return fields.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => {
    const [pair, ...attributes] = value.split(';')
    const cookie: HarCookie = cookiePair(pair!)
    for (const attribute of attributes) {
      const { name, value: text } = cookiePair(attribute)
      switch (name.toLowerCase()) {
        case 'path': cookie.path = text; break
        case 'domain': cookie.domain = text; break
        case 'samesite': cookie.sameSite = text; break
        case 'httponly': cookie.httpOnly = true; break
        case 'secure': cookie.secure = true; break
        case 'expires': if (!Number.isNaN(Date.parse(text))) cookie.expires = new Date(text).toISOString()
      }
    }
    return cookie
  })
}

function cookiePair (text: string): HarPair {
  const equals = text.indexOf('=')
  if (equals === -1) return { name: text.trim(), value: '' }
  return { name: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() }
}

/** The content of a request; `undefined`: none. */
export async function postDataOf (
  fields: readonly Field[], body: Collected, redactor: Redactor
): Promise<HarPostData | undefined> {
  if (body.size === 0) return undefined
  const mimeType = valueOf(fields, 'content-type') ?? 'application/octet-stream'
  if (body.file !== null) return { mimeType, _file: await body.file.finish(mimeType) }
  if (!isUtf8(body.bytes)) return { mimeType, text: body.bytes.toString('base64'), encoding: 'base64' }
  const text = redactor.text(mimeType, String(body.bytes))
  return { mimeType, text, ...(isForm(mimeType) && { params: parameters(text) }) }
}

export async function contentOf (
  fields: readonly Field[], body: Collected, encoded: boolean, redactor: Redactor
): Promise<HarContent> {
  const { bytes, received, failure } = body
  const mimeType = valueOf(fields, 'content-type') ?? 'x-unknown'
  const content: HarContent = { size: body.size, mimeType }
  if (body.size !== received) content.compression = body.size - received
  if (encoded) content._encoded = true
  if (failure !== null) content.comment = `The content could not be decoded: ${failure.message}`
  if (body.file !== null) return { ...content, _file: await body.file.finish(mimeType) }
  if (encoded || !TEXT.test(mimeType) || !isUtf8(bytes)) {
    return bytes.length === 0 ? content : { ...content, text: bytes.toString('base64'), encoding: 'base64' }
  }
  const text = redactor.text(mimeType, String(bytes))
  return { ...content, size: Buffer.byteLength(text), text }
}

/** Times between what happened; what did not is -1, and what is out of order, such as a response in advance, is 0. */
export function timingsOf (
  { connected, requestSent, responseHead, end }: ExchangeEnd['timings'], connection: ExchangeConnection | null
): Required<HarTimings> {
  const { resolve, connect, secure } = connection?.timings ?? { resolve: 0, connect: 0, secure: 0 }
  const opened = connection !== null && !connection.reused
  const before = connected ?? end
  const sent = requestSent ?? responseHead ?? end
  const head = responseHead ?? end
  const between = (from: number, to: number): number => Math.max(0, Math.round((to - from) * 1000) / 1000)
  return {
    blocked: between(opened ? resolve + connect + secure : 0, before),
    dns: opened ? resolve : -1,
    connect: opened ? connect + secure : -1,
    ssl: opened && connection.tlsVersion !== null ? secure : -1,
    send: between(before, sent),
    wait: between(sent, head),
    receive: between(head, end)
  }
}

/** The whole, of which `ssl` is a part already. */
export function totalOf ({ blocked, dns, connect, send, wait, receive }: Required<HarTimings>): number {
  return [blocked, dns, connect, send, wait, receive].reduce<number>((sum, time) => sum + Math.max(0, time), 0)
}
