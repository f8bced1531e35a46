/** Options of `fastify-prox/warc`, and what it finds in WARC files (ISO 28500:2017, WARC 1.1). */

export interface WarcOptions {
  /** The folder that the files are written to. It is made if it is missing. */
  directory: string
  /** What the names of the files begin with: letters, digits, `-`, `_` and `.`. Default `'fastify-prox'`. */
  prefix?: string
  /** Bytes, or `'1GB'` and its like: a file that has reached this size is finished, and the next one begun. */
  rotate?: number | string
  /** Whether content that was recorded before is written as a `revisit` record, without it. Default `true`. */
  dedup?: boolean
  /** Fields of the `warcinfo` records, beside `software` and `format`: `operator`, `description`, `isPartOf`, … */
  info?: Record<string, string>
}

export interface WarcReplayOptions {
  /** WARC files: paths, folders, and patterns with `*` and `?`. */
  files: string | readonly string[]
  /** CDXJ files that list captures of `files`, in place of what is beside each of them. */
  index?: string | readonly string[]
  /** What requests without `Accept-Datetime` get the nearest capture of. Default: the latest one. */
  date?: Date | string
}

/** One line of an index: a response that was recorded. */
export interface WarcCapture {
  readonly url: string
  /** In UTC, as CDXJ has it: `20261130125536`. */
  readonly timestamp: string
  /** `null`: the record has none, as those of WARC's type `resource`. */
  readonly status: number | null
  /** `'warc/revisit'` for content that is in another record. */
  readonly mime: string
  readonly method: string
}
