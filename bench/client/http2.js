/** HTTP/2 over a TLS connection; every answer is checked. */
import http2 from 'node:http2'
import { BODY, HOST } from '../payload.js'

const HEADERS = { ':method': 'GET', ':path': '/a?b=c', ':scheme': 'https', ':authority': HOST }

/** @returns {Promise<http2.ClientHttp2Session>} */
export async function openSession (socket) {
  const session = http2.connect(`https://${HOST}`, { createConnection: () => socket })
  await new Promise((resolve, reject) => session.once('remoteSettings', resolve).once('error', reject))
  return session
}

/** Sends requests one after the other, as `repeat` of HTTP/1.1 does. */
export async function repeat (session, until) {
  let count = 0
  do {
    await exchange(session)
    count++
  } while (performance.now() < until)
  return count
}

function exchange (session) {
  return new Promise((resolve, reject) => {
    const stream = session.request(HEADERS, { endStream: true })
    let status
    let body = ''
    stream.on('response', (headers) => { status = headers[':status'] })
    stream.on('data', (chunk) => { body += chunk.latin1Slice() })
    stream.on('error', reject)
    stream.on('end', () => {
      if (status === 200 && body === BODY) resolve()
      else reject(new Error(`a wrong answer: ${status} ${body}`))
    })
  })
}
