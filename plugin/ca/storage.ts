/**
 * Keeps the authority in a store, or in a file, which is a store too. The first process to keep one in it wins, and
 * every process uses what the store answers afterwards.
 */
import { randomInt } from 'node:crypto'
import type { Stats } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CertificateAuthorityWarning, CertificateStore } from '../../types/ca'
import { FST_PROX_CA_NOT_WRITABLE, FST_PROX_CA_UNREADABLE, reasonOf, show } from '../errors'
import { readBlocks } from './bundle'
import { fileReason, makeDirectory, readRegularFile, writeAside } from './files'
import type { WrittenAside } from './files'

type OnWarning = (warning: CertificateAuthorityWarning) => void

/** The key that an authority has in a store. */
export const STORE_KEY = 'fastify-prox-ca'

const OWNER_ONLY = 0o600

const READABLE_BY_OTHERS = 0o077
const WRITABLE_BY_OTHERS = 0o022
/** Only the owner of a file may replace it there. */
const STICKY = 0o1000

/**
 * A PEM bundle in a file of its own, mode 0600. It is written aside and then linked to its name, which fails when the
 * name is taken: of processes that start together one makes the file, and nobody ever reads half of it.
 *
 * A certificate alone is completed with the key beside it: `rootCA.pem` with `rootCA-key.pem`, as mkcert keeps them.
 */
export class FileStore {
  /** Absolute path. */
  readonly file: string
  readonly #onWarning: OnWarning

  constructor (file: string, onWarning: OnWarning) {
    this.file = resolve(file)
    this.#onWarning = onWarning
  }

  /** The file that may hold the private key when the bundle has none. */
  get keyFile (): string {
    const extension = extname(this.file)
    return join(dirname(this.file), `${basename(this.file, extension)}-key${extension}`)
  }

  /** Answers the bundle, or `undefined` when there is no file. */
  async get (): Promise<string | undefined> {
    const pem = await this.#read(this.file)
    if (pem === undefined) return undefined
    const { keys, certificates } = readBlocks(pem)
    if (keys.length > 0 || certificates.length === 0) return pem
    const key = await this.#read(this.keyFile)
    return key === undefined ? pem : `${key}\n${pem}`
  }

  /** Keeps a bundle where none is; answers `false` when there is one, which stays. */
  async add (_key: string, pem: string): Promise<boolean> {
    return await this.#write(pem, async (written) => await written.add())
  }

  /** Keeps a bundle in place of the one that is there. */
  async set (_key: string, pem: string): Promise<void> {
    await this.#write(pem, async (written) => { await written.replace() })
  }

  async #read (file: string): Promise<string | undefined> {
    const read = await readRegularFile(file).catch((err: unknown) => { throw new Error(fileReason(err)) })
    if (read === undefined) return undefined
    // Windows has neither.
    if (process.getuid !== undefined && readBlocks(read.content).keys.length > 0) {
      await this.#checkAccess(file, read.stats, process.getuid())
    }
    return read.content
  }

  /** Warns when others than the user may read the private key, or put another one in its place. */
  async #checkAccess (file: string, { uid, mode }: Stats, user: number): Promise<void> {
    const warn = (message: string) => this.#onWarning({ code: 'FST_PROX_CA_PERMISSIONS', message })
    const isForeign = (owner: number) => owner !== user && owner !== 0
    const directory = dirname(file)
    const { uid: directoryUid, mode: directoryMode } = await stat(directory)
    if ((mode & READABLE_BY_OTHERS) !== 0) {
      warn(`Others than its owner may read the private key in ${file}: chmod 600 ${file}`)
    }
    if (isForeign(uid)) warn(`Another user, ${uid}, owns the private key in ${file}: chown ${user} ${file}`)
    if (isForeign(directoryUid)) {
      warn(`Another user, ${directoryUid}, may replace the private key in ${file}: chown ${user} ${directory}`)
    }
    if ((directoryMode & WRITABLE_BY_OTHERS) !== 0 && (directoryMode & STICKY) === 0) {
      warn(`Others may replace the private key in ${file}: chmod go-w ${directory}`)
    }
  }

  async #write<T> (pem: string, name: (written: WrittenAside) => Promise<T>): Promise<T> {
    const directory = dirname(this.file)
    try {
      if (await makeDirectory(directory)) await writeFile(join(directory, '.gitignore'), '*\n', { flag: 'wx' })
      const written = await writeAside(this.file, pem, OWNER_ONLY)
      return await name(written).finally(written.discard)
    } catch (err) {
      throw new Error(fileReason(err))
    }
  }
}

/** A store whose methods have one meaning: `add` never replaces. */
interface Adapted {
  get (): Promise<string | undefined>
  add (pem: string): Promise<void>
}

function textOf (stored: unknown): string | undefined {
  if (stored === null || stored === undefined) return undefined
  if (typeof stored === 'string') return stored
  if (stored instanceof Uint8Array) return Buffer.from(stored).toString()
  throw new Error(`the store answered ${show(stored)} in place of a PEM text`)
}

/**
 * How long a store with `set` alone is left before it is read again, in milliseconds. Another process that saw no
 * authority has set its own by then, unless it was held up for longer; by chance, not all wait equally long.
 */
const PAUSE = { least: 1000, most: 2000 } as const

function adapt (store: CertificateStore, onWarning: OnWarning): Adapted {
  const get = async () => await readStore(store)
  if ('add' in store && typeof store.add === 'function') {
    const { add } = store
    return { get, async add (pem) { await add.call(store, STORE_KEY, pem) } }
  }
  const { set } = store as Extract<CertificateStore, { set: unknown }>
  if (store instanceof Map) {
    // One process has it, and nothing comes in between: no other load can have set it meanwhile.
    return { get, async add (pem) { if (!store.has(STORE_KEY)) set.call(store, STORE_KEY, pem) } }
  }
  return {
    get,
    async add (pem) {
      onWarning({
        code: 'FST_PROX_CA_STORE_WITHOUT_ADD',
        message: 'The store of the certificate authority has no method add(key, pem), which keeps the authority only ' +
          'where there is none: processes that start at the same time may end with different ones'
      })
      // To make a key takes a while, in which another process may have been faster.
      if (await get() !== undefined) return
      await set.call(store, STORE_KEY, pem)
      await pause(randomInt(PAUSE.least, PAUSE.most))
    }
  }
}

/** Reads what a store keeps now; `undefined`: nothing. */
export async function readStore (store: CertificateStore): Promise<string | undefined> {
  return textOf(await store.get(STORE_KEY))
}

/**
 * Keeps a bundle in place of the one that a store has.
 *
 * @param source the store's name in errors.
 * @throws FST_PROX_CA_NOT_WRITABLE
 */
export async function replaceIn (store: CertificateStore, source: string, pem: string): Promise<void> {
  try {
    if (typeof store.set !== 'function') throw new Error('the store has no method set(key, pem)')
    await store.set(STORE_KEY, pem)
  } catch (err) {
    throw new FST_PROX_CA_NOT_WRITABLE(source, reasonOf(err))
  }
}

/**
 * Reads what a store keeps, or makes it and keeps it when there is nothing yet.
 *
 * @param source the store's name in errors.
 * @throws FST_PROX_CA_UNREADABLE, FST_PROX_CA_NOT_WRITABLE
 */
export async function loadOrMake (
  store: CertificateStore, source: string, make: () => Promise<string>, onWarning: OnWarning
): Promise<string> {
  const adapted = adapt(store, onWarning)
  const read = () => adapted.get().catch((err: unknown) => {
    throw new FST_PROX_CA_UNREADABLE(source, reasonOf(err))
  })
  const kept = await read()
  if (kept !== undefined) return kept
  try {
    await adapted.add(await make())
  } catch (err) {
    throw new FST_PROX_CA_NOT_WRITABLE(source, reasonOf(err))
  }
  const now = await read()
  if (now === undefined) throw new FST_PROX_CA_NOT_WRITABLE(source, 'it does not keep what it was given')
  return now
}
