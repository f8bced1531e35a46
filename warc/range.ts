/** Ranges of content (RFC 9110 14): what is asked for, and what a capture has. */

/** Bytes from the first to the last one; the last is `Infinity` for the rest. */
export interface Range {
  readonly first: number
  readonly last: number
}

/** Bytes of content of which there are `total`, if that is known. */
export interface ContentRange extends Range {
  readonly total: number | null
}

/** One range of bytes, or `{ suffix }`: so many at the end. `null`: none, several, or another unit. */
export function parseRange (value: string | undefined): Range | { readonly suffix: number } | null {
  const match = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/i.exec(value?.replace(/\s/g, '') ?? '')
  if (match === null) return null
  if (match[3] !== undefined) return { suffix: Number(match[3]) }
  const [first, last] = [Number(match[1]), match[2] === undefined ? Infinity : Number(match[2])]
  return last < first ? null : { first, last }
}

export function parseContentRange (value: string | null | undefined): ContentRange | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(?:(\d{1,15})|\*)$/i.exec(value?.trim() ?? '')
  if (match === null) return null
  const total = match[3] === undefined ? null : Number(match[3])
  return { first: Number(match[1]), last: Number(match[2]), total }
}

/** Whether a part of the content is all of it. */
export function isWhole ({ first, last, total }: ContentRange): boolean {
  return first === 0 && last + 1 === total
}

/** The bytes of content of a size that a range stands for; `null`: none. */
export function rangeWithin (range: Range | { readonly suffix: number }, size: number): Range | null {
  if ('suffix' in range) {
    return range.suffix === 0 || size === 0 ? null : { first: Math.max(0, size - range.suffix), last: size - 1 }
  }
  return range.first >= size ? null : { first: range.first, last: Math.min(range.last, size - 1) }
}
