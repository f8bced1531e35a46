/** Reads the content of a message whole. */
import type { Readable } from 'node:stream'
import { FST_PROX_CONTENT_TOO_LARGE } from '../plugin/errors'

/**
 * Resolves with the content. The rest of one that is too large is read unseen, lest the client wait with it for its
 * answer; destroying the stream would take the connection, or the HTTP/2 stream, away before the answer.
 * @param limit in bytes
 * @throws FST_PROX_CONTENT_TOO_LARGE
 */
export async function readContent (content: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of content.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk)
    size += chunk.length
    if (size > limit) break
  }
  if (size <= limit) return Buffer.concat(chunks)
  content.resume()
  throw new FST_PROX_CONTENT_TOO_LARGE(limit)
}
