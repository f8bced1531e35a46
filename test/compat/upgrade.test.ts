/** Upgrade fields that are ignored: by Node's callback where there is one, elsewhere by reading the request again. */
import { EventEmitter, once } from 'node:events'
import http from 'node:http'
import type { IncomingMessage } from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { decideUpgrades, knowsUpgradeCallback, replayWithoutUpgrade, shareUpgrades } from '../../plugin/compat/upgrade'

interface DecidingServer extends EventEmitter {
  shouldUpgradeCallback: (raw: IncomingMessage) => boolean
}

/** A server of a Node that asks, which acts on what is for `/socket` as long as somebody listens. */
function deciding (): DecidingServer {
  return Object.assign(new EventEmitter(), {
    shouldUpgradeCallback (this: EventEmitter, raw: IncomingMessage) {
      return this.listenerCount('upgrade') > 0 && raw.url === '/socket'
    }
  })
}

const SOCKET = { method: 'GET', url: '/socket' } as IncomingMessage
const OTHER = { method: 'GET', url: '/' } as IncomingMessage

t.test('a server that asks decides as it is told, and knows what it would have done', async (t) => {
  const server = deciding()
  t.ok(knowsUpgradeCallback(server))
  decideUpgrades(server, (raw, inherited) => raw === OTHER || inherited())
  t.ok(server.shouldUpgradeCallback(OTHER))
  t.notOk(server.shouldUpgradeCallback(SOCKET), 'nobody listens')
  server.on('upgrade', () => {})
  t.ok(server.shouldUpgradeCallback(SOCKET))
})

t.test('a server that does not ask is left as it is', async (t) => {
  const server = new EventEmitter()
  t.notOk(knowsUpgradeCallback(server))
  decideUpgrades(server, () => true)
  t.notOk(knowsUpgradeCallback(server))
})

t.test('a secondary server', async (t) => {
  t.test('decides as the main one does', async (t) => {
    const [main, secondary] = [deciding(), deciding()]
    secondary.on('upgrade', () => {})
    decideUpgrades(main, (raw) => raw === OTHER)
    shareUpgrades(main, secondary)
    t.ok(secondary.shouldUpgradeCallback(OTHER))
    t.notOk(secondary.shouldUpgradeCallback(SOCKET))
  })

  t.test('reads every request as an ordinary one where the main one has no listener', async (t) => {
    const [main, secondary] = [new EventEmitter(), new EventEmitter()]
    secondary.on('upgrade', () => {})
    shareUpgrades(main, secondary)
    t.equal(secondary.listenerCount('upgrade'), 0)
  })

  t.test('keeps its listener where the main one has one', async (t) => {
    const [main, secondary] = [new EventEmitter(), new EventEmitter()]
    for (const server of [main, secondary]) server.on('upgrade', () => {})
    shareUpgrades(main, secondary)
    t.equal(secondary.listenerCount('upgrade'), 1)
  })
})

const skip = knowsUpgradeCallback(http.createServer()) ? 'this Node never stops parsing for an ignored upgrade' : false

/** A server that acts on no `Upgrade` field, and a client of it. */
async function connectTo (t: Test, server: http.Server): Promise<{ client: net.Socket, socket: net.Socket }> {
  server.on('upgrade', (raw, _socket, head) => { replayWithoutUpgrade(server, raw, head) })
  server.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = net.connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  const [socket] = await once(server, 'connection') as [net.Socket]
  return { client, socket }
}

const UPGRADE = 'Host: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n'

t.test('a request is read again without the field, and counts once for its connection', { skip }, async (t) => {
  const server = http.createServer(({ headers }, response) => { response.end(headers.upgrade ?? 'none') })
  Object.assign(server, { maxRequestsPerSocket: 2, maxHeadersCount: 50 })
  const { client } = await connectTo(t, server)
  client.write(`GET /1 HTTP/1.1\r\n${UPGRADE}\r\n`)
  const [first] = await once(client, 'data') as [Buffer]
  t.match(first.toString(), /^HTTP\/1\.1 200 [^]*Connection: keep-alive[^]*none/)
  client.write(`GET /2 HTTP/1.1\r\n${UPGRADE}\r\n`)
  const last = Buffer.concat(await client.toArray()).toString()
  t.match(last, /^HTTP\/1\.1 200 [^]*Connection: close[^]*none/, 'the last one')
})

t.test('a header section of which Node has dropped fields is not read again', { skip }, async (t) => {
  const { client, socket } = await connectTo(t, http.createServer(() => { t.fail('it was read again') }))
  client.write(`GET / HTTP/1.1\r\n${UPGRADE}${'a: b\r\n'.repeat(1_000)}\r\n`)
  const [answer] = await once(client, 'data') as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 431 /)
  const closed = new Promise((resolve) => { socket.on('close', resolve) })
  client.resetAndDestroy()
  await closed
})
