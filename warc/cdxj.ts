/** An index in the order of its keys: in a file, which is searched without being read, or in memory. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const NEWLINE = 0x0a

/** Bytes that are read at once: a few lines. */
const READ_SIZE = 4096

/** Bytes of a line, above which it is none. */
const LONGEST_LINE = 1024 * 1024

export class Cdxj {
  readonly #size: number
  readonly #read: (position: number, length: number) => Buffer
  readonly #descriptor: number | null

  private constructor (
    size: number, read: (position: number, length: number) => Buffer, descriptor: number | null = null
  ) {
    this.#size = size
    this.#read = read
    this.#descriptor = descriptor
  }

  /** Throws what the file system fails with. */
  static open (path: string): Cdxj {
    const descriptor = openSync(path, 'r')
    return new Cdxj(fstatSync(descriptor).size, (position, length) => {
      const buffer = Buffer.allocUnsafe(length)
      return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position))
    }, descriptor)
  }

  /** @param text lines in the order of their bytes */
  static of (text: string): Cdxj {
    const bytes = Buffer.from(text)
    return new Cdxj(bytes.length, (position, length) => bytes.subarray(position, position + length))
  }

  /** The lines that begin with a text. @param from a line at or before the first of them */
  * startingWith (prefix: string, from = prefix): Generator<string> {
    const wanted = Buffer.from(prefix)
    for (let position = this.#find(Buffer.from(from)); position < this.#size;) {
      const line = this.#lineAt(position)
      if (!line.subarray(0, wanted.length).equals(wanted)) return
      yield line.toString()
      position += line.length + 1
    }
  }

  close (): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor)
  }

  /** Where the first line is that is not before a text. */
  #find (wanted: Buffer): number {
    let [low, high] = [0, this.#size]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const start = middle === low ? low : this.#lineFrom(middle)
      if (start >= high) {
        // None begins from the middle on: that of the middle began before.
        high = middle
        continue
      }
      const line = this.#lineAt(start)
      if (Buffer.compare(line, wanted) < 0) low = start + line.length + 1
      else high = start
    }
    return low
  }

  /** Where the first line begins that does so at a position or behind it. */
  #lineFrom (position: number): number {
    for (let at = position - 1; at < this.#size; at += READ_SIZE) {
      const end = this.#read(at, READ_SIZE).indexOf(NEWLINE)
      if (end !== -1) return at + end + 1
    }
    return this.#size
  }

  #lineAt (position: number): Buffer {
    let size = READ_SIZE
    for (;;) {
      const bytes = this.#read(position, size)
      const end = bytes.indexOf(NEWLINE)
      if (end !== -1) return bytes.subarray(0, end)
      if (bytes.length < size || size > LONGEST_LINE) return bytes
      size *= 4
    }
  }
}
