/** Proxies that record to WARC files, or replay them; and what is in such files, as warcio reads it. */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { WARCParser } from 'warcio'
import { startForward } from '../forward/support'
import { start } from '../support/proxy'
import type { Proxy, ProxyOptions } from '../support/proxy'
import { base32 } from '../../warc/digest'
import warc from '../../warc/index'

export const forwardAll = (app: FastifyInstance): void => {
  app.all('/*', (_request, reply) => reply.forward())
}

/** A proxy that records. */
export async function startRecorder (
  t: Test, options: warc.WarcOptions, setup: (app: FastifyInstance) => unknown = forwardAll, more: ProxyOptions = {}
): Promise<Proxy> {
  return await startForward(t, {}, async (app) => {
    await app.register(warc, options)
    await setup(app)
  }, more)
}

export interface ReadRecord {
  readonly type: string
  /** By lower-case name; repeated ones are joined by `, `. */
  readonly fields: Record<string, string>
  readonly block: Buffer
  /** Of a message: what stands before its body, and the body. */
  readonly head: string
  readonly body: Buffer
}

function sha1 (bytes: Buffer): string {
  return `sha1:${base32(createHash('sha1').update(bytes).digest())}`
}

/**
 * The records of a file as warcio reads them. Each one is a gzip member of its own, and its digests are right: whatever
 * is not so, throws.
 */
export async function recordsOf (path: string): Promise<ReadRecord[]> {
  const file = readFileSync(path)
  const parser = new WARCParser([file], { parseHttp: false, keepHeadersCase: true })
  const found: Array<{ offset: number, type: string, block: Buffer }> = []
  for await (const record of parser) {
    found.push({ offset: parser.offset, type: record.warcType!, block: Buffer.from(await record.readFully(false)) })
  }
  return found.map(({ offset, type, block }, i) => {
    const member = gunzipSync(file.subarray(offset, found[i + 1]?.offset))
    const text = member.toString('latin1')
    const [start, ...lines] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')
    if (start !== 'WARC/1.1' || !text.endsWith('\r\n\r\n')) throw new Error('a member is no record')
    const fields: Record<string, string> = {}
    for (const line of lines) {
      const [, name, value] = /^([\w-]+): (.*)$/.exec(line)!
      const key = name!.toLowerCase()
      fields[key] = fields[key] === undefined ? value! : `${fields[key]}, ${value!}`
    }
    const end = block.indexOf('\r\n\r\n') + 4
    const [head, body] = [block.subarray(0, end).toString('latin1'), block.subarray(end)]
    if (fields['warc-block-digest'] !== sha1(block)) throw new Error(`a block has another digest:\n${text}`)
    const withPayload = type === 'request' || type === 'response'
    if (withPayload && fields['warc-payload-digest'] !== sha1(body)) throw new Error(`a payload has another:\n${text}`)
    return { type, fields, block, head, body }
  })
}

/** The names of the WARC files in a folder, and of everything else. */
export function filesIn (directory: string): string[] {
  return readdirSync(directory).sort()
}

/** The records of all files of a folder. */
export async function recordsIn (directory: string): Promise<ReadRecord[]> {
  const all = filesIn(directory).map(async (name) => await recordsOf(join(directory, name)))
  return (await Promise.all(all)).flat()
}

/** A proxy that replays. */
export async function startReplay (t: Test, options: warc.WarcReplayOptions, more: ProxyOptions = {}): Promise<Proxy> {
  return await start(t, more, async (app) => { await app.register(warc.replay, options) })
}

/** Records what requests to a site get, and gives the folder. */
export async function recorded (
  t: Test, ask: (proxy: Proxy) => Promise<unknown>, options: Partial<warc.WarcOptions> = {}
): Promise<string> {
  const directory = join(t.testdir(), 'archive')
  const proxy = await startRecorder(t, { directory, ...options })
  await ask(proxy)
  await proxy.app.close()
  return directory
}

export interface Made {
  type?: string
  url?: string
  date?: string
  /** The head of an HTTP message, lines ended by `\n`. */
  head?: string
  body?: string | Buffer
  fields?: Record<string, string>
}

/** A record as others write it. */
export function record (
  { type = 'response', url, date = '2026-01-01T00:00:00Z', head, body = '', fields = {} }: Made
): Buffer {
  const message = head === undefined ? '' : `${head.trim()}\n\n`.replaceAll('\n', '\r\n')
  const block = Buffer.concat([Buffer.from(message), Buffer.from(body)])
  const isHttp = head !== undefined
  const all = {
    'WARC-Type': type,
    'WARC-Date': date,
    'WARC-Record-ID': `<urn:uuid:${randomUUID()}>`,
    ...(url !== undefined && { 'WARC-Target-URI': url }),
    ...(isHttp && { 'Content-Type': `application/http; msgtype=${type === 'request' ? 'request' : 'response'}` }),
    ...fields,
    'Content-Length': block.length
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`WARC/1.0\r\n${lines}\r\n`), block, Buffer.from('\r\n\r\n')])
}

/** A file of records, a gzip member each. */
export function warcFile (t: Test, records: readonly Buffer[], name = 'made.warc.gz'): string {
  const file = join(t.testdir(), name)
  writeFileSync(file, Buffer.concat(records.map((each) => name.endsWith('.gz') ? gzipSync(each) : each)))
  return file
}

/** The path of a socket: what is there, and cannot be opened as a file. It is short, as a socket's has 100 bytes. */
export async function startSocket (t: Test): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'warc-'))
  const path = join(folder, 'socket')
  const server = net.createServer().listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close(() => rmdirSync(folder)))
  return path
}
