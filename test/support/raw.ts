/**
 * A client that writes bytes and reads HTTP/1.x responses, on any connected socket. Strict about framing, and nothing
 * is hidden: what came is what the test sees.
 *
 *   const client = await connect(t, { port })       or: new RawClient(t, socket), for a socket of your own
 *   client.write('GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n')
 *   const { status, headers, body } = await client.response()      headers are lower case, lists joined by ', '
 *   await client.response('HEAD')                                  the answer to a HEAD, or a CONNECT
 *   await client.ask('GET', 'http://example.com/', { 'x-a': '1' }) both in one; with a Host and Content-Length
 *   await client.closed()                                          the rest of the bytes, when the other side ends
 *   client.socket                                                  the socket, for anything else
 *   client.detach()                                                the same, and the client reads no more of it
 *
 * The socket is destroyed when the test ends.
 */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { Duplex } from 'node:stream'
import type { Test } from 'tap'

/** Ends clients when it is done: a test, as a rule. */
export type Owner = Pick<Test, 'teardown'>

export interface RawResponse {
  readonly version: string
  readonly status: number
  readonly reason: string
  readonly headers: Record<string, string>
  /** As UTF-8. */
  readonly body: string
  readonly bytes: Buffer
  readonly trailers: Record<string, string>
  /** Status codes of the interim responses that came before: 100, 103, … */
  readonly interim: number[]
}

export class RawClient<Socket extends Duplex = Duplex> {
  readonly socket: Socket
  #buffered = Buffer.alloc(0)
  #ended = false
  readonly #listeners: Array<[event: string, listener: (bytes: Buffer) => void]>

  constructor (t: Owner, socket: Socket) {
    this.socket = socket
    const end = (): void => {
      this.#ended = true
      this.#wake()
    }
    const data = (bytes: Buffer): void => {
      this.#buffered = Buffer.concat([this.#buffered, bytes])
      this.#wake()
    }
    this.#listeners = [['data', data], ['end', end], ['close', end]]
    for (const [event, listener] of this.#listeners) socket.on(event, listener)
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
  }

  write (text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text)
  }

  async ask (method: string, target: string, headers: Record<string, string> = {}, body = ''): Promise<RawResponse> {
    const given = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
    const fields = {
      ...(!given.has('host') && { host: 'ignored.test' }),
      ...(body !== '' && !given.has('content-length') && { 'content-length': String(Buffer.byteLength(body)) }),
      ...headers
    }
    const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    this.write(Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n${body}`))
    return await this.response(method)
  }

  /** @param method what was asked, as the answers to HEAD and CONNECT have no content */
  async response (method = 'GET'): Promise<RawResponse> {
    const interim: number[] = []
    for (;;) {
      const lines = (await this.#until('\r\n\r\n')).split('\r\n')
      const match = /^HTTP\/(\d\.\d) (\d{3}) ?(.*)$/.exec(lines.shift()!)
      if (match === null) throw new Error('not a status line')
      const [version, status, reason] = [match[1]!, Number(match[2]), match[3]!]
      const headers = parseFields(lines)
      if (status < 200 && status !== 101) {
        interim.push(status)
        continue
      }
      const bodiless = method === 'HEAD' || (method === 'CONNECT' && status < 300) || [101, 204, 304].includes(status)
      const { body, trailers } = bodiless ? { body: '', trailers: {} } : await this.#body(headers)
      const bytes = Buffer.from(body, 'latin1')
      return { version, status, reason, headers, body: bytes.toString(), bytes, trailers, interim }
    }
  }

  /** Lets go of the socket, for whoever speaks on it next; what was not read goes back into it. */
  detach (): Socket {
    const { socket } = this
    socket.pause()
    for (const [event, listener] of this.#listeners) socket.off(event, listener)
    if (this.#buffered.length > 0) socket.unshift(this.#buffered)
    return socket
  }

  /** Everything that came and was not read, once the other side has ended or reset the connection. */
  async closed (): Promise<string> {
    while (await this.#more()) continue
    return this.take()
  }

  /** What has been received and not been read; waits for nothing. */
  take (length = this.#buffered.length): string {
    const taken = this.#buffered.subarray(0, length)
    this.#buffered = this.#buffered.subarray(length)
    return taken.toString('latin1')
  }

  /** Exactly so many bytes. */
  async read (length: number): Promise<string> {
    while (this.#buffered.length < length) await this.#moreOrThrow()
    return this.take(length)
  }

  async #body (headers: Record<string, string>): Promise<Pick<RawResponse, 'body' | 'trailers'>> {
    const coding = headers['transfer-encoding']
    if (coding === 'chunked') return await this.#chunks()
    if (coding !== undefined) throw new Error(`unknown transfer coding ${coding}`)
    const length = headers['content-length']
    return { body: length === undefined ? await this.closed() : await this.read(Number(length)), trailers: {} }
  }

  async #chunks (): Promise<Pick<RawResponse, 'body' | 'trailers'>> {
    let body = ''
    for (;;) {
      const size = parseInt(await this.#until('\r\n'), 16)
      if (size === 0) break
      body += await this.read(size)
      if (await this.read(2) !== '\r\n') throw new Error('a chunk is longer than it says')
    }
    const lines: string[] = []
    for (;;) {
      const line = await this.#until('\r\n')
      if (line === '') return { body, trailers: parseFields(lines) }
      lines.push(line)
    }
  }

  /** The text before a delimiter, which is taken too. */
  async #until (delimiter: string): Promise<string> {
    for (;;) {
      const end = this.#buffered.indexOf(delimiter)
      if (end !== -1) return this.take(end + delimiter.length).slice(0, -delimiter.length)
      await this.#moreOrThrow()
    }
  }

  async #moreOrThrow (): Promise<void> {
    if (!await this.#more()) throw new Error(`closed after ${JSON.stringify(this.#buffered.toString('latin1'))}`)
  }

  /** Waits for more bytes, or the end. */
  async #more (): Promise<boolean> {
    const { length } = this.#buffered
    while (!this.#ended && this.#buffered.length === length) {
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
    return this.#buffered.length > length
  }

  #wake: () => void = () => {}
}

/** The body of an answer, read as JSON. */
export async function jsonOf (answer: Promise<RawResponse>): Promise<Record<string, unknown>> {
  return JSON.parse((await answer).body)
}

/** A stream that writes to another and reads nothing: TLS on it never gets an answer. */
export function writeOnly (stream: { write: (bytes: Buffer) => unknown }): Duplex {
  return new Duplex({
    read () {},
    write (bytes, _encoding, done) {
      stream.write(bytes)
      done()
    }
  })
}

/** A raw client on a connection of its own, with TLS if `secure` is given. */
export async function connect (
  t: Owner, address: net.NetConnectOpts, secure?: tls.ConnectionOptions
): Promise<RawClient<net.Socket>> {
  const socket = secure === undefined ? net.connect(address) : tls.connect({ ...address, ...secure })
  const client = new RawClient<net.Socket>(t, socket)
  await once(socket, secure === undefined ? 'connect' : 'secureConnect')
  return client
}

function parseFields (lines: string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const line of lines) {
    const match = /^([^:\s]+): *(.*)$/.exec(line)
    if (match === null) throw new Error(`not a field: ${JSON.stringify(line)}`)
    const name = match[1]!.toLowerCase()
    fields[name] = fields[name] === undefined ? match[2]! : `${fields[name]}, ${match[2]!}`
  }
  return fields
}
