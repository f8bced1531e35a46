/**
 * Decides for each request whether a server acts on its `Upgrade` field or ignores it (RFC 9110 7.8).
 *
 * Relied on:
 * - `server.shouldUpgradeCallback(request)` decides, where Node has it (an option of `createServer` since 22.21.1 and
 *   24.9.0), and can be replaced on a server that was made without the option;
 * - elsewhere Node has stopped parsing the connection when it emits 'upgrade'. Then the request is written back into
 *   the socket without the field, and the server reads it again. Node emits 'upgrade' when the header section has been
 *   read, so that `head` is what follows it, the content of the request included.
 *
 * Seen in: Node 20 to 26 (lib/_http_server.js).
 * Without it: a request with an `Upgrade` field that nobody acts on is never answered.
 */
import type { EventEmitter } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { Server as TlsServer } from 'node:tls'

type Decide = (raw: IncomingMessage) => boolean

interface DecidingServer {
  shouldUpgradeCallback?: Decide
}

/** Whether Node asks `shouldUpgradeCallback` of a server. */
export function knowsUpgradeCallback (server: object): boolean {
  return 'shouldUpgradeCallback' in server
}

/**
 * Has a server ask `decide` whether it acts on an `Upgrade` field.
 * @param decide gets what the server would have done by itself
 */
export function decideUpgrades (
  server: object, decide: (raw: IncomingMessage, inherited: () => boolean) => boolean
): void {
  const deciding = server as DecidingServer
  const previous = deciding.shouldUpgradeCallback
  if (previous === undefined) return
  deciding.shouldUpgradeCallback = (raw) => decide(raw, () => previous.call(server, raw))
}

/** Has a secondary server of Fastify's, which forwards 'upgrade' to the main one, decide as that does. */
export function shareUpgrades (main: EventEmitter, secondary: EventEmitter): void {
  const { shouldUpgradeCallback } = main as DecidingServer
  if (shouldUpgradeCallback !== undefined) decideUpgrades(secondary, shouldUpgradeCallback)
  // Without a listener Node reads what nobody acts on as an ordinary request.
  else if (main.listenerCount('upgrade') === 0) secondary.removeAllListeners('upgrade')
}

/** As many strings of `rawHeaders` as Node keeps where `maxHeadersCount` says nothing: names and values. */
const MAX_RAW_HEADERS = 2_000

const TOO_LARGE = 'HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

/** How many requests a connection has had that were read again. */
const replays = new WeakMap<object, number>()

/** Lets a server read a request again without its `Upgrade` field. For Node without `shouldUpgradeCallback` alone. */
export function replayWithoutUpgrade (server: Server, raw: IncomingMessage, head: Buffer): void {
  const { socket, rawHeaders } = raw
  const { maxHeadersCount, maxRequestsPerSocket } = server
  const limit = maxHeadersCount === null ? MAX_RAW_HEADERS : 2 * maxHeadersCount
  // Node has dropped the fields beyond the limit: one of them may say where the request ends.
  if (limit > 0 && rawHeaders.length >= limit) {
    socket.on('error', () => {})
    socket.end(TOO_LARGE)
    return
  }

  // Each reading counts the requests of the connection anew.
  const count = (replays.get(socket) ?? 0) + 1
  replays.set(socket, count)
  const isLast = maxRequestsPerSocket !== null && maxRequestsPerSocket > 0 && count >= maxRequestsPerSocket

  const lines = [`${raw.method} ${raw.url} HTTP/${raw.httpVersion}`]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    if (name !== 'upgrade' && !(isLast && name === 'connection')) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`)
  }
  if (isLast) lines.push('Connection: close')
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}
