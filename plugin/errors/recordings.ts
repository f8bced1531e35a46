/** Errors of recording and replaying. */
import createError from '@fastify/error'

/** The file has no entry that answers the request; the nearest ones follow, with what differs in each. */
export const FST_PROX_NOT_RECORDED = createError<[request: string, file: string, nearest: string]>(
  'FST_PROX_NOT_RECORDED', '%s is not recorded in %s%s', 501)

/** The file is missing, or not one to replay. */
export const FST_PROX_HAR_UNREADABLE = createError<[file: string, reason: string]>(
  'FST_PROX_HAR_UNREADABLE', 'The recording %s cannot be read: %s')

/** A recording cannot be written to its file or folder. */
export const FST_PROX_HAR_NOT_WRITABLE = createError<[file: string, reason: string]>(
  'FST_PROX_HAR_NOT_WRITABLE', 'The recording %s cannot be written: %s')

/** WARC files cannot be written to the folder. */
export const FST_PROX_WARC_NOT_WRITABLE = createError<[where: string, reason: string]>(
  'FST_PROX_WARC_NOT_WRITABLE', 'WARC files cannot be written to %s: %s')

/** A file of an archive is missing, or not one to replay. */
export const FST_PROX_WARC_UNREADABLE = createError<[file: string, reason: string]>(
  'FST_PROX_WARC_UNREADABLE', '%s cannot be read: %s')

/** The archive has no capture that answers the request; what is there of the host follows. */
export const FST_PROX_NOT_ARCHIVED = createError<[request: string, others: string]>(
  'FST_PROX_NOT_ARCHIVED', '%s is not in the archive. %s', 404)

/** `Accept-Datetime` is not a date (RFC 7089 4.5.3). */
export const FST_PROX_BAD_DATETIME = createError<[got: string]>(
  'FST_PROX_BAD_DATETIME', 'Accept-Datetime takes a date such as Tue, 01 Sep 2026 12:00:00 GMT, got %s', 400)

/** Somebody else is recording to the file. */
export const FST_PROX_HAR_IN_USE = createError<[file: string, owner: string, lock: string]>(
  'FST_PROX_HAR_IN_USE', '%s is being recorded by %s. If that is not so any more, remove %s')
