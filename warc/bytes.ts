/** Reads what comes in pieces: a head up to its blank line, and so many bytes. */

const EMPTY = Buffer.alloc(0)

/** The end of a head: a blank line, whatever ends the lines. */
const BLANK = [Buffer.from('\n\r\n'), Buffer.from('\n\n')]

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>

export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer> | Iterator<Buffer>
  #buffer: Buffer = EMPTY
  #position = 0

  constructor (chunks: Chunks) {
    this.#chunks = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
  }

  /** How many bytes have been read of it. */
  get position (): number {
    return this.#position
  }

  /** Leaves out blank lines. @returns whether anything follows */
  async skipBlank (): Promise<boolean> {
    for (;;) {
      let i = 0
      while (i < this.#buffer.length && (this.#buffer[i] === 0x0d || this.#buffer[i] === 0x0a)) i++
      this.#take(i)
      if (this.#buffer.length > 0) return true
      if (!await this.#more()) return false
    }
  }

  /** Bytes up to a blank line, with it; `null`: there is none before the end, or within the limit. */
  async head (limit: number): Promise<Buffer | null> {
    let from = 0
    for (;;) {
      const end = endOfHead(this.#buffer, from)
      if (end !== -1) return end > limit ? null : this.#take(end)
      from = Math.max(0, this.#buffer.length - 2)
      if (this.#buffer.length > limit || !await this.#more()) return null
    }
  }

  /** A line without its end; `null`: there is none before the end, or within the limit. */
  async line (limit: number): Promise<string | null> {
    const line = await this.peekLine(limit)
    if (line !== null) this.#take(this.#buffer.indexOf('\n') + 1)
    return line
  }

  /** The same, which stays to be read. */
  async peekLine (limit: number): Promise<string | null> {
    for (;;) {
      const end = this.#buffer.indexOf('\n')
      if (end !== -1 && end <= limit) return this.#buffer.subarray(0, end).toString('latin1').trimEnd()
      if (this.#buffer.length > limit || !await this.#more()) return null
    }
  }

  /** So many bytes, as they come; fewer at the end. */
  async * take (size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0;) {
      if (this.#buffer.length === 0 && !await this.#more()) return
      const part = this.#take(Math.min(left, this.#buffer.length))
      left -= part.length
      yield part
    }
  }

  /** So many bytes, if they have come; `null`: not yet. */
  takeNow (size: number): Buffer | null {
    return size <= this.#buffer.length ? this.#take(size) : null
  }

  /** @returns whether there were so many bytes */
  async skip (size: number): Promise<boolean> {
    let left = size
    for await (const part of this.take(size)) left -= part.length
    return left === 0
  }

  /** Ends the source, which may be a file that is being read. */
  async close (): Promise<void> {
    await this.#chunks.return?.()
  }

  #take (size: number): Buffer {
    const taken = this.#buffer.subarray(0, size)
    this.#buffer = this.#buffer.subarray(size)
    this.#position += size
    return taken
  }

  async #more (): Promise<boolean> {
    const { done, value } = await this.#chunks.next()
    if (done === true) return false
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value])
    return true
  }
}

function endOfHead (bytes: Buffer, from: number): number {
  const ends = BLANK.map((blank) => [bytes.indexOf(blank, from), blank.length] as const).filter(([at]) => at !== -1)
  if (ends.length === 0) return -1
  return Math.min(...ends.map(([at, length]) => at + length))
}
