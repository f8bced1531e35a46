/** The folder of large bodies beside a HAR file: `stripe-files/` beside `stripe.har`. */
import { createHash, randomUUID } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'

const EXTENSIONS: Record<string, string> = {
  'application/javascript': 'js',
  'application/json': 'json',
  'application/pdf': 'pdf',
  'font/woff2': 'woff2',
  'image/gif': 'gif',
  'image/jpeg': 'jpg',
  'image/png': 'png',
  'image/svg+xml': 'svg',
  'image/webp': 'webp',
  'text/css': 'css',
  'text/html': 'html',
  'text/javascript': 'js',
  'text/plain': 'txt',
  'video/mp4': 'mp4'
}

/** A body that is being written. */
const PART = '.part'
const WRITTEN = /^[0-9a-f]{40}\.[0-9a-z]+$/

export class BodyFiles {
  readonly #folder: string
  readonly #name: string

  constructor (har: string) {
    this.#name = `${basename(har, extname(har))}-files`
    this.#folder = join(dirname(har), this.#name)
  }

  async create (): Promise<BodyFile> {
    await mkdir(this.#folder, { recursive: true })
    const path = join(this.#folder, `${randomUUID()}${PART}`)
    return new BodyFile(path, this.#folder, this.#name, await open(path, 'wx', 0o600))
  }

  /** Removes what nothing refers to, and what was never finished. */
  async clean (referred: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [])
    for (const name of names) {
      const unused = name.endsWith(PART) || (WRITTEN.test(name) && !referred.has(`${this.#name}/${name}`))
      if (unused) await rm(join(this.#folder, name), { force: true })
    }
  }
}

export class BodyFile {
  readonly #path: string
  readonly #folder: string
  readonly #name: string
  readonly #handle: FileHandle
  readonly #hash: Hash = createHash('sha1')
  size = 0

  constructor (path: string, folder: string, name: string, handle: FileHandle) {
    this.#path = path
    this.#folder = folder
    this.#name = name
    this.#handle = handle
  }

  async write (chunk: Buffer): Promise<void> {
    this.#hash.update(chunk)
    this.size += chunk.length
    await this.#handle.appendFile(chunk)
  }

  /** @returns its name, relative to the HAR file: that of its content, so that the same content is there once */
  async finish (mimeType: string): Promise<string> {
    await this.#handle.close()
    const type = mimeType.split(';')[0]!.trim().toLowerCase()
    const name = `${this.#hash.digest('hex')}.${EXTENSIONS[type] ?? 'dat'}`
    await rename(this.#path, join(this.#folder, name))
    return `${this.#name}/${name}`
  }

  async discard (): Promise<void> {
    await this.#handle.close().catch(() => {})
    await rm(this.#path, { force: true })
  }
}
