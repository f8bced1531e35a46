/** HTTP/1.1 over a socket: as lean as it can be, and every answer is checked. */
import { BLOCK, BODY, HOST, TRANSFER } from '../payload.js'
import { converse } from './converse.js'

const OK = 'HTTP/1.1 200 '
const END_OF_HEAD = '\r\n\r\n'

export const GET = Buffer.from(`GET /a?b=c HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
export const GET_ABSOLUTE = Buffer.from(`GET http://${HOST}/a?b=c HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)

/**
 * Sends a request again and again, each when the last has been answered.
 * @param {import('node:net').Socket} socket
 * @param {Buffer} request
 * @param {number} until milliseconds as `performance.now()` has them; one request is sent at least
 * @returns {Promise<number>} how many there were
 */
export function repeat (socket, request, until) {
  let count = 0
  let size = 0
  let pending = null
  const send = () => socket.write(request)
  return converse(socket, (resolve, reject) => ({
    data (chunk) {
      // The length of an answer does not change, so that only the first has to be parsed.
      if (pending !== null || chunk.length !== size || !isExpected(chunk)) {
        pending = pending === null ? chunk : Buffer.concat([pending, chunk])
        const { complete, body, fixed } = parse(pending)
        if (!complete) return
        if (pending.latin1Slice(0, OK.length) !== OK || body !== BODY) {
          return reject(new Error(`a wrong answer: ${pending.latin1Slice(0, 1000)}`))
        }
        if (fixed) size = pending.length
        pending = null
      }
      count++
      if (performance.now() < until) send()
      else resolve(count)
    }
  }), send)
}

function isExpected (chunk) {
  return chunk.latin1Slice(0, OK.length) === OK && chunk.latin1Slice(chunk.length - BODY.length) === BODY
}

function lengthIn (head) {
  const digits = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

/** A message with Content-Length or in chunks, as far as it is here. */
function parse (bytes) {
  const endOfHead = bytes.indexOf(END_OF_HEAD)
  if (endOfHead === -1) return { complete: false }
  const head = bytes.latin1Slice(0, endOfHead)
  const start = endOfHead + END_OF_HEAD.length
  const length = lengthIn(head)
  if (length !== undefined) {
    const end = start + length
    return { complete: bytes.length >= end, body: bytes.latin1Slice(start), fixed: true }
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error(`an answer without length: ${head}`)
  let body = ''
  for (let at = start; ;) {
    const endOfLine = bytes.indexOf('\r\n', at)
    if (endOfLine === -1) return { complete: false }
    const size = Number.parseInt(bytes.latin1Slice(at, endOfLine), 16)
    const end = endOfLine + 2 + size + 2
    if (bytes.length < end) return { complete: false }
    if (size === 0) return { complete: true, body, fixed: false }
    body += bytes.latin1Slice(endOfLine + 2, end - 2)
    at = end
  }
}

/** Receives a large transfer and compares every byte. */
export function download (socket) {
  let head = Buffer.alloc(0)
  let position = -1
  return converse(socket, (resolve, reject) => ({
    data (chunk) {
      if (position === -1) {
        head = Buffer.concat([head, chunk])
        const endOfHead = head.indexOf(END_OF_HEAD)
        if (endOfHead === -1) return
        const text = head.latin1Slice(0, endOfHead)
        if (!text.startsWith(OK) || lengthIn(text) !== TRANSFER) return reject(new Error(`a wrong answer: ${text}`))
        chunk = head.subarray(endOfHead + END_OF_HEAD.length)
        position = 0
      }
      for (let at = 0; at < chunk.length;) {
        const offset = position % BLOCK.length
        const size = Math.min(BLOCK.length - offset, chunk.length - at)
        if (BLOCK.compare(chunk, at, at + size, offset, offset + size) !== 0) {
          return reject(new Error('wrong bytes in the transfer'))
        }
        at += size
        position += size
      }
      if (position === TRANSFER) resolve()
    }
  }), () => socket.write(`GET /down HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`))
}

/** Sends a large transfer; the answer says how much of it has come. */
export function upload (socket) {
  let answer = ''
  let sent = 0
  const send = () => {
    while (sent < TRANSFER) {
      sent += BLOCK.length
      if (!socket.write(BLOCK)) return
    }
  }
  return converse(socket, (resolve, reject) => ({
    drain: send,
    data (chunk) {
      answer += chunk.latin1Slice()
      if (!answer.includes(END_OF_HEAD) || !answer.includes('}')) return
      if (answer.startsWith(OK) && answer.includes(`{"received":${TRANSFER}}`)) resolve()
      else reject(new Error(`a wrong answer: ${answer}`))
    }
  }), () => {
    socket.write(`POST /up HTTP/1.1\r\nHost: ${HOST}\r\nContent-Type: application/octet-stream\r\n` +
      `Content-Length: ${TRANSFER}\r\n\r\n`)
    send()
  })
}
