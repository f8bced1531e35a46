/** Connections of the client: the same for every contender, but that a proxy is sent a CONNECT first. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { HOST } from '../payload.js'

/** How long anything may take, in milliseconds. */
const PATIENCE = 60_000

/** @returns {Promise<net.Socket>} */
export async function openPlain ({ port }) {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error('the contender does not answer')))
  await once(socket, 'connect')
  socket.on('error', ignore)
  return socket
}

/** A connection to the host of a contender: through a tunnel if the contender is a proxy. */
export async function openThrough (contender) {
  const socket = await openPlain(contender)
  if (contender.proxy) await openTunnel(socket, contender.authority)
  // Nothing comes before it is asked for.
  return socket.resume()
}

/**
 * A TLS connection to a host: through a tunnel if the contender is a proxy. The certificate has been verified for the
 * host against the contender's CA.
 * @param {import('../contender.js').Contender} contender
 * @param {{ host?: string, session?: Buffer, alpn?: string }} options
 * @returns {Promise<tls.TLSSocket>}
 */
export async function openTls (contender, { host = HOST, session, alpn = 'http/1.1' } = {}) {
  const plain = await openPlain(contender)
  if (contender.proxy) await openTunnel(plain, `${host}:443`)
  const socket = tls.connect({
    socket: plain,
    servername: host,
    secureContext: contender.secureContext,
    session,
    ALPNProtocols: [alpn]
  })
  const sessions = []
  socket.on('session', (session) => sessions.push(session))
  socket.sessions = sessions
  await once(socket, 'secureConnect')
  socket.on('error', ignore)
  if (!socket.authorized) throw new Error(`${contender.name}: ${socket.authorizationError}`)
  if (alpn === 'h2' && socket.alpnProtocol !== 'h2') throw new Error(`${contender.name} does not speak HTTP/2`)
  return socket
}

async function openTunnel (socket, authority) {
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  let head = ''
  while (!head.endsWith('\r\n\r\n')) {
    const [chunk] = await once(socket, 'data')
    head += chunk.latin1Slice()
  }
  socket.pause()
  if (!/^HTTP\/1\.1 200 /.test(head)) throw new Error(`CONNECT was answered with ${head}`)
}

/** Ends a connection and waits until both sides have. */
export async function end (socket) {
  if (socket.closed) return
  const closed = once(socket, 'close')
  socket.end()
  socket.resume()
  await closed
}

/** Whoever uses the socket at the time hears of an error by itself. */
function ignore () {}
