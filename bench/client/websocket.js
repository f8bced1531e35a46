/** A WebSocket (RFC 6455) as lean as it can be: small text messages and their echoes. */
import { createHash, randomBytes } from 'node:crypto'
import { HOST, MESSAGE } from '../payload.js'
import { converse } from './converse.js'

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const FINAL_TEXT = 0x81
const MASKED = 0x80

/** Upgrades a connection. */
export async function openWebSocket (socket) {
  const key = randomBytes(16).toString('base64')
  const accept = createHash('sha1').update(key + GUID).digest('base64')
  const request = `GET /echo HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`
  let head = ''
  await converse(socket, (resolve) => ({
    data (chunk) {
      head += chunk.latin1Slice()
      if (head.endsWith('\r\n\r\n')) resolve()
    }
  }), () => socket.write(request))
  if (!head.startsWith('HTTP/1.1 101 ') || !head.includes(accept)) throw new Error(`no WebSocket: ${head}`)
}

const SENT = frame(MESSAGE, randomBytes(4))
const ECHO = frame(MESSAGE)

function frame (text, mask) {
  const payload = Buffer.from(text)
  if (mask === undefined) return Buffer.concat([Buffer.from([FINAL_TEXT, payload.length]), payload])
  const masked = payload.map((byte, i) => byte ^ mask[i % 4])
  return Buffer.concat([Buffer.from([FINAL_TEXT, MASKED | payload.length]), mask, masked])
}

/** Sends messages one after the other, each when the last has come back. */
export function repeat (socket, until) {
  let count = 0
  let received = null
  const send = () => socket.write(SENT)
  return converse(socket, (resolve, reject) => ({
    data (chunk) {
      received = received === null ? chunk : Buffer.concat([received, chunk])
      if (received.length < ECHO.length) return
      if (!received.equals(ECHO)) return reject(new Error(`a wrong echo: ${received.toString('hex')}`))
      received = null
      count++
      if (performance.now() < until) send()
      else resolve(count)
    }
  }), send)
}
