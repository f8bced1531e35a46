/**
 * The journal beside a HAR file: a line for each entry as soon as it has ended. The HAR file is written of it, aside,
 * and renamed; what a process that was killed has left is made whole by the next one.
 */
import { appendFileSync, closeSync, existsSync, openSync } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { HarEntry } from '../types/har'
import { parseHar } from './load'

/** The first line: whether entries come in place of those that the file has, or behind them. */
interface Head {
  readonly mode: 'record' | 'update'
}

interface Line {
  readonly offset: number
  readonly length: number
  readonly started: string
}

const NEWLINE = 0x0a
const READ_SIZE = 256 * 1024

export class Journal {
  readonly #descriptor: number
  /** Whether the last line may be torn. */
  #torn = false

  constructor (file: string, mode: Head['mode']) {
    this.#descriptor = openSync(journalOf(file), 'w', 0o600)
    this.#write(JSON.stringify({ mode }))
  }

  /** Writes at once, so that nothing is lost but what is under way. Throws what the file system fails with. */
  append (entry: HarEntry): void {
    this.#write(JSON.stringify(entry))
  }

  close (): void {
    closeSync(this.#descriptor)
  }

  #write (line: string): void {
    const text = `${this.#torn ? '\n' : ''}${line}\n`
    this.#torn = true
    appendFileSync(this.#descriptor, text)
    this.#torn = false
  }
}

function journalOf (file: string): string {
  return `${file}.journal`
}

/** Entries of a recorder that was killed, by their start; and whether they take the place of the file's. */
export async function leftBehind (file: string): Promise<{ replaces: boolean, entries: HarEntry[] } | null> {
  if (!existsSync(journalOf(file))) return null
  const journal = await open(journalOf(file))
  try {
    const { mode, lines } = await scan(journal)
    const entries: HarEntry[] = []
    for (const line of lines) entries.push(JSON.parse(String(await slice(journal, line))) as HarEntry)
    return { replaces: mode === 'record', entries }
  } finally {
    await journal.close()
  }
}

/**
 * Writes the HAR file of what it had and of its journal, and removes the journal. Nothing happens without one.
 * @param creator of a new file
 * @returns the names of the files beside it that its entries refer to; `null`: nothing was written
 */
export async function finish (file: string, creator: object): Promise<Set<string> | null> {
  if (!existsSync(journalOf(file))) return null
  const journal = await open(journalOf(file))
  let referred: Set<string> | null = null
  try {
    const { mode, lines } = await scan(journal)
    const before = mode === 'update' ? await existing(file) : null
    if (before === null || lines.length > 0) referred = await write(file, journal, lines, before, creator)
  } finally {
    await journal.close()
  }
  await rm(journalOf(file), { force: true })
  return referred
}

interface ExistingLog {
  readonly entries: readonly HarEntry[]
  readonly rest: object
}

async function existing (file: string): Promise<ExistingLog | null> {
  if (!existsSync(file)) return null
  const { entries, ...rest } = parseHar(file, await readFile(file, 'utf8'))
  return { entries, rest }
}

async function write (
  file: string, journal: FileHandle, lines: readonly Line[], before: ExistingLog | null, creator: object
): Promise<Set<string>> {
  const referred = new Set<string>()
  const aside = `${file}.tmp`
  const output = await open(aside, 'w')
  try {
    const head = JSON.stringify({ ...(before?.rest ?? { version: '1.2', creator, pages: [] }) })
    await output.write(`{"log":${head.slice(0, -1)},"entries":[`)
    let first = true
    const add = async (entry: string | Buffer): Promise<void> => {
      await output.write(first ? '\n' : ',\n')
      await output.write(entry as string)
      first = false
      for (const [, name] of String(entry).matchAll(/"_file":"([^"]+)"/g)) referred.add(name!)
    }
    for (const entry of before?.entries ?? []) await add(JSON.stringify(entry))
    for (const line of lines) await add(await slice(journal, line))
    await output.write('\n]}}\n')
    await output.sync()
  } finally {
    await output.close()
  }
  await rename(aside, file)
  return referred
}

async function slice (journal: FileHandle, { offset, length }: Line): Promise<Buffer> {
  const { buffer } = await journal.read(Buffer.allocUnsafe(length), 0, length, offset)
  return buffer
}

/** Finds the lines that are whole, by the start of their entries, without keeping them. */
async function scan (journal: FileHandle): Promise<Head & { lines: Line[] }> {
  const lines: Line[] = []
  let head: Head | undefined
  const each = (text: string, offset: number, length: number): void => {
    let value: Head | HarEntry
    try {
      value = JSON.parse(text) as Head | HarEntry
    } catch {
      return
    }
    if (head === undefined) head = value as Head
    else lines.push({ offset, length, started: (value as HarEntry).startedDateTime })
  }
  let parts: Buffer[] = []
  let offset = 0
  let position = 0
  for (;;) {
    const { bytesRead, buffer } = await journal.read(Buffer.allocUnsafe(READ_SIZE), 0, READ_SIZE, position)
    if (bytesRead === 0) break
    position += bytesRead
    let rest = buffer.subarray(0, bytesRead)
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      const line = Buffer.concat([...parts, rest.subarray(0, end)])
      each(String(line), offset, line.length)
      offset += line.length + 1
      parts = []
      rest = rest.subarray(end + 1)
    }
    parts.push(rest)
  }
  // A stable sort: those of one millisecond stay in the order of their end.
  lines.sort((a, b) => a.started < b.started ? -1 : a.started > b.started ? 1 : 0)
  return { mode: head?.mode ?? 'update', lines }
}
