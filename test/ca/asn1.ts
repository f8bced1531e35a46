/** Writes and reads DER for the tests, apart from the code that they test: every value is a Buffer. */

/** Writes one value: its tag, its length, its content (X.690 8.1). */
export function value (tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content])
  return length < 0x100
    ? Buffer.concat([Buffer.from([tag, 0x81, length]), content])
    : Buffer.concat([Buffer.from([tag, 0x82, length >> 8, length & 0xff]), content])
}

export const sequence = (...contents: Buffer[]) => value(0x30, ...contents)
export const set = (...contents: Buffer[]) => value(0x31, ...contents)
export const octets = (content: Buffer) => value(0x04, content)
export const bits = (content: Buffer, unused = 0) => value(0x03, Buffer.from([unused]), content)
export const utf8 = (text: string) => value(0x0c, Buffer.from(text))
export const printable = (text: string) => value(0x13, Buffer.from(text))
export const integer = (bytes: Buffer | number) => value(0x02, typeof bytes === 'number' ? Buffer.from([bytes]) : bytes)
export const tagged = (tag: number, ...contents: Buffer[]) => value(0xa0 | tag, ...contents)
export const implicit = (tag: number, content: Buffer | string) => value(0x80 | tag, Buffer.from(content as string))
export const NULL = value(0x05)
export const TRUE = value(0x01, Buffer.from([0xff]))

/** Writes an OBJECT IDENTIFIER (X.690 8.19). */
export function oid (dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = rest.flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift(left & 0x7f | 0x80)
    return groups
  })
  return value(0x06, Buffer.from([first * 40 + second, ...bytes]))
}

/** Writes a UTCTime, for years until 2049. */
export function utcTime (milliseconds: number): Buffer {
  return value(0x17, Buffer.from(new Date(milliseconds).toISOString().replace(/^..|[-:T]|\..*/g, '') + 'Z'))
}

/** A value as it was read. */
export interface Value {
  readonly tag: number
  readonly content: Buffer
  /** All of it. */
  readonly der: Buffer
}

/** Reads the values that stand one behind the other. */
export function read (der: Buffer): Value[] {
  const values: Value[] = []
  for (let at = 0; at < der.length;) {
    const short = der[at + 1]!
    const extra = short < 0x80 ? 0 : short & 0x7f
    const length = extra === 0 ? short : der.readUIntBE(at + 2, extra)
    const start = at + 2 + extra
    values.push({ tag: der[at]!, content: der.subarray(start, start + length), der: der.subarray(at, start + length) })
    at = start + length
  }
  return values
}
