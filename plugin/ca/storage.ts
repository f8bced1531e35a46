/**
 * Where the authority is kept. A store has two methods, `get` and `set`; a file is one, a `Map` is one. Whatever the
 * store, the first one to keep an authority in it wins, and everyone uses what the store answers afterwards.
 */
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { basename, dirname, extname, join, resolve } from 'node:path'
import type { CertificateStore } from '../../types/ca'
import { FST_PROX_CA_NOT_WRITABLE, FST_PROX_CA_UNREADABLE } from '../errors'
import { readBlocks } from './bundle'

/** Something that the operator should know and that does not stop anything. */
export interface Warning {
  readonly code: string
  readonly message: string
}

/** The key that an authority has in a store. */
export const STORE_KEY = 'fastify-prox-ca'

function hasCode (error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code
}

/**
 * A PEM bundle in a file of its own, mode 0600. It is written aside and then linked to its name, which fails when the
 * name is taken: of processes that start together one makes the file, and nobody ever reads half of it.
 *
 * A certificate alone is completed with the key beside it: `rootCA.pem` with `rootCA-key.pem`, as mkcert keeps them.
 */
export class FileStore implements CertificateStore {
  /** Absolute path. */
  readonly file: string
  readonly #onWarning: (warning: Warning) => void

  constructor (file: string, onWarning: (warning: Warning) => void) {
    this.file = resolve(file)
    this.#onWarning = onWarning
  }

  /** The bundle, or `undefined` when there is no file. */
  async get (): Promise<string | undefined> {
    const pem = await this.#read(this.file)
    if (pem === undefined) return undefined
    const { keys, certificates } = readBlocks(pem)
    if (keys.length > 0 || certificates.length === 0) return pem
    const extension = extname(this.file)
    const key = await this.#read(join(dirname(this.file), `${basename(this.file, extension)}-key${extension}`))
    return key === undefined ? pem : `${key}\n${pem}`
  }

  /** Keeps a bundle where none is; one that is there already stays. */
  async set (_key: string, pem: string): Promise<void> {
    await this.#write(pem, async (written) => {
      await link(written, this.file).catch((error: unknown) => {
        if (!hasCode(error, 'EEXIST')) throw error
      })
    })
  }

  /** Keeps a bundle in place of the one that is there. */
  async replace (pem: string): Promise<void> {
    await this.#write(pem, async (written) => { await rename(written, this.file) })
  }

  async #read (file: string): Promise<string | undefined> {
    const handle = await open(file).catch((error: unknown): undefined => {
      if (!hasCode(error, 'ENOENT')) throw error
    })
    if (handle === undefined) return undefined
    try {
      const pem = await handle.readFile('utf8')
      const { mode } = await handle.stat()
      if (process.platform !== 'win32' && (mode & 0o077) !== 0 && readBlocks(pem).keys.length > 0) {
        this.#onWarning({
          code: 'FST_PROX_CA_PERMISSIONS',
          message: `Others than its owner may read the private key in ${file}: chmod 600 ${file}`
        })
      }
      return pem
    } finally {
      await handle.close()
    }
  }

  /** Writes the bundle aside, whole and synced, and has it take its name. */
  async #write (pem: string, settle: (written: string) => Promise<void>): Promise<void> {
    const directory = dirname(this.file)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const written = join(directory, `.${basename(this.file)}.${randomUUID()}`)
    const handle = await open(written, 'wx', 0o600)
    try {
      try {
        await handle.writeFile(pem)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await settle(written)
    } finally {
      await rm(written, { force: true })
    }
  }
}

async function read (store: CertificateStore, source: string): Promise<string | undefined> {
  try {
    return await store.get(STORE_KEY) ?? undefined
  } catch (error) {
    throw new FST_PROX_CA_UNREADABLE(source, (error as Error).message)
  }
}

/**
 * What a store keeps, or what is made and kept when it keeps nothing yet.
 *
 * @param source what errors call the store.
 * @throws FST_PROX_CA_UNREADABLE, FST_PROX_CA_NOT_WRITABLE
 */
export async function loadOrMake (store: CertificateStore, source: string, make: () => Promise<string>): Promise<string> {
  const kept = await read(store, source)
  if (kept !== undefined) return kept
  try {
    await store.set(STORE_KEY, await make())
  } catch (error) {
    throw new FST_PROX_CA_NOT_WRITABLE(source, (error as Error).message)
  }
  const settled = await read(store, source)
  if (settled === undefined) throw new FST_PROX_CA_NOT_WRITABLE(source, 'it does not keep what it was given')
  return settled
}
