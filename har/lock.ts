/** Keeps a HAR file to one recorder: a file beside it names the process, and is left behind by one that was killed. */
import { closeSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { FST_PROX_HAR_IN_USE } from '../plugin/errors'

interface Owner {
  readonly pid: number
  readonly host: string
  /** When the process started, as Linux counts it: a number of a process that has ended goes to another one. */
  readonly started: string | null
}

/** What this process holds. */
const held = new Set<string>()

/**
 * @returns the path of the lock, for `release`
 * @throws FST_PROX_HAR_IN_USE, and what the file system fails with
 */
export function acquire (file: string): string {
  const lock = `${file}.lock`
  const owner: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) }
  while (!create(lock, JSON.stringify(owner))) {
    const found = read(lock)
    /* c8 ignore next: released between two lines of this process */
    if (found === null) continue
    const other = ownerOf(found)
    if (isAlive(lock, other)) {
      throw new FST_PROX_HAR_IN_USE(file, `process ${other.pid} on ${other.host}`, lock)
    }
    takeAway(lock, found)
  }
  held.add(lock)
  return lock
}

export function release (lock: string): void {
  held.delete(lock)
  rmSync(lock, { force: true })
}

/** Whether somebody records to the file. */
export function isLocked (file: string): boolean {
  const lock = `${file}.lock`
  const found = read(lock)
  return found !== null && isAlive(lock, ownerOf(found))
}

function create (lock: string, text: string): boolean {
  // Whole from the start: what is linked has been written.
  const draft = `${lock}.${process.pid}`
  const descriptor = openSync(draft, 'w')
  let created = false
  try {
    writeSync(descriptor, text)
    linkSync(draft, lock)
    created = true
  } catch (err) {
    /* c8 ignore next: file systems without links */
    if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw err
  } finally {
    closeSync(descriptor)
    rmSync(draft, { force: true })
  }
  return created
}

function read (lock: string): string | null {
  try {
    return readFileSync(lock, 'utf8')
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') throw err
    return null
  }
}

/** What is no lock of ours is nobody's. */
function ownerOf (text: string): Owner {
  try {
    return JSON.parse(text) as Owner
  } catch {
    return { pid: 0, host: hostname(), started: null }
  }
}

/** Removes the lock of one that was killed, and no other: two may have found it. */
function takeAway (lock: string, found: string): void {
  const taken = `${lock}.${process.pid}.old`
  try {
    renameSync(lock, taken)
  /* c8 ignore next 3: another process has taken it away between two lines of this one */
  } catch {
    return
  }
  /* c8 ignore next: another process has taken it away and made its own between two lines of this one */
  if (read(taken) !== found) renameSync(taken, lock)
  rmSync(taken, { force: true })
}

function isAlive (lock: string, { pid, host, started }: Owner): boolean {
  // Of other machines, or containers, nothing can be told.
  if (host !== hostname()) return true
  if (pid === process.pid) return held.has(lock)
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'EPERM'
  }
  return started === startOf(pid)
}

function startOf (pid: number): string | null {
  try {
    // The 22nd field; the second, in brackets, may hold anything.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')[19]!
  /* c8 ignore next 3: systems without /proc, where a number in use counts as the same process */
  } catch {
    return null
  }
}
