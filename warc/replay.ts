/** The plugin `warc.replay`: routes that answer every request of an archive, and never ask the network. */
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import '../types/fastify'
import type { WarcCapture, WarcReplayOptions } from '../types/warc'
import { FST_PROX_BAD_DATETIME, FST_PROX_NOT_ARCHIVED, show } from '../plugin/errors'
import { answerOf } from './answer'
import type { Answer } from './answer'
import { Archive } from './archive'
import type { Located } from './archive'
import { choose, othersOfHost } from './choose'
import { openCapture } from './content'
import { digestOf, startDigest } from './digest'
import { grouped, mementoFields } from './fields'
import { checkReplayOptions } from './options'
import { parseRange } from './range'
import { targetUri } from './records'

/** Milliseconds for indexes at the start. */
const PATIENCE = 4_000

/** Captures of the host that an answer names, when there is none of the URL. */
const OTHERS = 10

/** Replies whose content has no type. */
const untyped = new WeakSet<FastifyReply>()

/** @throws FST_PROX_INVALID_OPTION, FST_PROX_UNKNOWN_OPTION, FST_PROX_WARC_UNREADABLE */
export const replay: FastifyPluginAsync<WarcReplayOptions> = async (app, options) => {
  checkReplayOptions(options)
  const { files, index, date } = options
  const warn = (message: string): void => app.log.warn(`fastify-prox: ${message}`)
  const opening = Archive.open({ files, index, warn })
  app.addHook('onClose', async () => await opening.then(async (archive) => await archive.close(), () => {}))
  await inTime(opening, () => {
    warn('indexes of large files are being made; fastify-prox warc index writes them, so that they are there at once')
    opening.catch((err: unknown) => app.log.error({ err }, 'fastify-prox: the archive cannot be replayed'))
  })
  const preferred = date === undefined ? null : new Date(date).getTime()

  // Compared as it is: nothing is parsed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  const handler = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
    send(reply, await find(await opening, request, preferred))
  // Content without a type is for the client to guess; Fastify gives streams one.
  app.addHook('onSend', async (_request, reply) => { if (untyped.has(reply)) reply.removeHeader('content-type') })
  for (const method of app.supportedMethods) {
    // What the application answers itself is its own.
    if (app.hasRoute({ method, url: `${app.prefix}/*` })) continue
    app.route({ method, url: '/*', exposeHeadRoute: false, handler })
  }
}

/** Waits for an archive, but not so long that Fastify would give up; requests wait for the rest. */
async function inTime (opening: Promise<Archive>, late: () => void): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<'late'>((resolve) => { timer = setTimeout(resolve, PATIENCE, 'late') })
  try {
    if (await Promise.race([opening, patience]) === 'late') late()
  } finally {
    clearTimeout(timer)
  }
}

/** @throws FST_PROX_NOT_ARCHIVED, FST_PROX_BAD_DATETIME */
async function find (archive: Archive, request: FastifyRequest, preferred: number | null): Promise<Answer> {
  const { raw, method, headers, proxy } = request
  const url = targetUri(proxy?.url ?? `${request.protocol}://${request.host}${request.originalUrl}`)
  const range = method === 'GET' ? parseRange(headers.range) : null
  const asked = { method, url, date: dateOf(headers['accept-datetime']) ?? preferred, range, digest: once(raw) }
  for (const capture of await choose(archive, asked)) {
    const archived = await openCapture(archive, capture)
    // Of a revisit whose content is not there, an older capture may have it.
    if (archived === null) continue
    const more = mementoFields(url, capture.timestamp)
    return await answerOf(archived, { method, headers, more, again: async () => await openCapture(archive, capture) })
  }
  throw missing(method, url, othersOfHost(archive, url, OTHERS))
}

function missing (method: string, url: string, others: readonly Located[]): Error {
  const captures: WarcCapture[] = others.map(({ url, timestamp, status, mime, method }) =>
    ({ url, timestamp, status, mime, method }))
  const lines = captures.map((each) => `\n${each.timestamp} ${each.method} ${each.url} ${each.status ?? ''}`.trimEnd())
  const text = captures.length === 0 ? 'There is nothing of its host' : `There is of its host:${lines.join('')}`
  return Object.assign(new FST_PROX_NOT_ARCHIVED(`${method} ${url}`, text), { captures })
}

/** @throws FST_PROX_BAD_DATETIME */
function dateOf (field: string | string[] | undefined): number | null {
  if (field === undefined) return null
  const date = Date.parse(String(field))
  if (Number.isNaN(date)) throw new FST_PROX_BAD_DATETIME(show(field))
  return date
}

/** Reads the content of a request when it is asked for, and keeps nothing of it. */
function once (raw: AsyncIterable<Buffer>): () => Promise<string | null> {
  let digest: Promise<string | null> | undefined
  const read = async (): Promise<string | null> => {
    const hash = startDigest()
    let size = 0
    for await (const chunk of raw) {
      hash.update(chunk)
      size += chunk.length
    }
    return size === 0 ? null : digestOf(hash)
  }
  return async () => await (digest ??= read())
}

function send (reply: FastifyReply, { statusCode, reason, rawHeaders, body }: Answer): FastifyReply {
  reply.code(statusCode)
  const headers = grouped(rawHeaders)
  // Fastify takes one.
  for (const [name, values] of headers) {
    reply.header(name, values.length === 1 || name === 'content-type' ? values[0] : values)
  }
  if (!headers.has('content-type')) untyped.add(reply)
  if (reply.request.raw.httpVersionMajor === 1 && isReason(reason)) reply.raw.statusMessage = reason
  return reply.send(body ?? undefined)
}

function isReason (text: string): boolean {
  return text !== '' && !/[^\t\x20-\x7e\x80-\xff]/.test(text)
}
