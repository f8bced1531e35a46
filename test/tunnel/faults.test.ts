/**
 * Clients that vanish at any moment: the process serves on, and nothing of them is left.
 *
 * `STORMS` says how many storms of them there are after the first one, `CLIENTS` how many clients in each
 * (`npm run storm`: many).
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { EventEmitter, once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import v8 from 'node:v8'
import t from 'tap'
import { Tunnel } from '../../plugin/tunnel/tunnel'
import type { TunnelClosed, TunnelEvent } from '../../types/events'
import type { Line } from '../support/log'
import { Proxy, start } from '../support/proxy'
import type { Owner } from '../support/raw'
import { ENDS, fault, FaultyProxy, MOMENTS, routes, serves, startFaulty } from './faulty'
import { PROX, recorded, until } from './support'

const CLOSED = /^tunnel to \S+ closed/
const NOT_UNDERSTOOD = /neither TLS nor HTTP|TLS handshake failed/

const STORMS = Number(process.env.STORMS ?? 1)
const CLIENTS = Number(process.env.CLIENTS ?? 200)

function isRefusal ({ msg }: Line): boolean {
  return /does not trust the CA/.test(msg)
}

for (const end of Object.keys(ENDS)) {
  t.test(`leaves nothing of a client that vanishes at any moment: ${end}`, async (t) => {
    const opened = recorded<TunnelEvent>(t, 'tunnel:opened')
    const closed = recorded<TunnelClosed>(t, 'tunnel:closed')
    const proxy = await startFaulty(t)
    const { app, log } = proxy
    const gone = async (): Promise<boolean> => {
      return await proxy.connections() === 0 && opened.messages.length === closed.messages.length
    }
    for (const moment of Object.keys(MOMENTS)) {
      await fault(new FaultyProxy(t, app, log), moment, end)
      await until(gone)
      t.ok(await serves(proxy), moment)
      await until(gone)
    }
    const ids = closed.messages.map(({ id }) => id)
    t.equal(new Set(ids).size, ids.length, 'each tunnel ends once')
    const lines = log.lines.filter(({ msg }) => CLOSED.test(msg))
    t.equal(lines.length, ids.length, 'and one line says so')
    const [refused, others] = [lines.filter(isRefusal), lines.filter((line) => !isRefusal(line))]
    for (const { level, msg } of others) t.equal(level, NOT_UNDERSTOOD.test(msg) ? 'info' : 'debug', msg)
    const warnings = refused.filter(({ level }) => level === 'warn').length
    t.ok(warnings <= 2, 'each of two names is worth one warning')
    t.equal(refused.filter(({ level }) => level === 'debug').length, refused.length - warnings)
    t.strictSame([...log.messages('warn'), ...log.messages('error')].length, warnings, 'there is no other')
  })
}

/** Ends clients in the place of a test, which would keep each of them to the end of the file. */
class Leftovers implements Owner {
  readonly #ends: Array<() => unknown> = []

  teardown (end: () => unknown): void {
    this.#ends.push(end)
  }

  async end (): Promise<void> {
    for (const end of this.#ends) await end()
  }
}

const Timeout = clearTimer(setTimeout(() => {}, 0)).constructor

function clearTimer (timer: NodeJS.Timeout): NodeJS.Timeout {
  clearTimeout(timer)
  return timer
}

interface Alive {
  readonly objects: number
  readonly emitters: number
  readonly sockets: number
  readonly tunnels: number
  readonly timers: number
  readonly listeners: string[]
}

/** How many there are of what a client takes, garbage not counted. */
function alive (server: EventEmitter): Alive {
  return {
    objects: v8.queryObjects(Object, { format: 'count' }),
    emitters: v8.queryObjects(EventEmitter, { format: 'count' }),
    sockets: v8.queryObjects(net.Socket, { format: 'count' }),
    tunnels: v8.queryObjects(Tunnel, { format: 'count' }),
    timers: v8.queryObjects(Timeout, { format: 'count' }),
    listeners: server.eventNames().map((event) => `${String(event)} ${server.listenerCount(event)}`)
  }
}

t.test(`${STORMS} storms of ${CLIENTS} clients leave nothing behind`, async (t) => {
  const proxy = await startFaulty(t, { loggerInstance: undefined })
  const { app, log } = proxy
  const count = { opened: 0, closed: 0 }
  const channels = {
    'fastify-prox:tunnel:opened': () => { count.opened++ },
    'fastify-prox:tunnel:closed': () => { count.closed++ }
  }
  for (const [channel, listener] of Object.entries(channels)) {
    subscribe(channel, listener)
    t.teardown(() => unsubscribe(channel, listener))
  }
  const moments = Object.keys(MOMENTS)
  const ends = Object.keys(ENDS)
  const turns = Math.floor(CLIENTS / (moments.length * ends.length))

  const storm = async (): Promise<void> => {
    const owner = new Leftovers()
    for (let i = 0; i < CLIENTS;) {
      // Starts clients in waves, each of them with a moment of its own.
      const wave: Array<Promise<void>> = []
      for (let j = 0; j < 25; j++, i++) {
        wave.push(fault(new FaultyProxy(owner, app, log), moments[i % moments.length]!, ends[i % ends.length]!))
      }
      await Promise.all(wave)
    }
    await until(async () => await proxy.connections() === 0 && count.opened === count.closed)
    await owner.end()
    if (!await serves(new Proxy(owner, app, log))) throw new Error('a good client got no answer')
    await owner.end()
    await until(async () => await proxy.connections() === 0)
  }

  await storm()
  const before = alive(app.server)
  const heap = [process.memoryUsage().heapUsed]
  for (let i = 0; i < STORMS; i++) {
    await storm()
    let after = alive(app.server)
    const more = (what: 'objects' | 'emitters' | 'timers'): number => after[what] - before[what]
    // Waits for what Node keeps for a second, such as the date of its responses, and for the last messages, which V8
    // may hold on to. To look takes a second too, and several on a busy machine.
    for (let waits = 0; waits < 3 && (more('timers') > 0 || more('emitters') > 0); waits++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      after = alive(app.server)
    }
    heap.push(process.memoryUsage().heapUsed)
    t.equal(after.tunnels, before.tunnels)
    // Compares with at most: sockets of the storm before may still wait for the garbage collector.
    t.ok(after.sockets <= before.sockets, `sockets: ${after.sockets} after ${before.sockets}`)
    t.strictSame(after.listeners, before.listeners)
    t.ok(more('timers') <= 0, `timers: ${after.timers} after ${before.timers}`)
    // Allows for two, which V8 may hold on to: a moment and an end that leave one behind do so in each of their turns.
    t.ok(more('emitters') < Math.max(3, turns / 4), `emitters: ${after.emitters} after ${before.emitters}`)
    t.ok(more('objects') < 10 * turns * (i + 1), `objects: ${after.objects} after ${before.objects}`)
  }
  // Includes what V8 compiles meanwhile, which outweighs the rest in a short storm.
  const growth = (heap.at(-1)! - heap[0]!) / CLIENTS / STORMS
  const sizes = heap.map((bytes) => (bytes / 1e6).toFixed(2))
  t.ok(growth < (CLIENTS < 1_000 ? 10_000 : 300), `heap: ${sizes.join(', ')} MB`)
})

t.test('errors of TLS after the handshake end the tunnel, and its line in the log says which', async (t) => {
  const intercepted = recorded(t, 'tunnel:intercepted')
  const proxy = await start(t, { prox: PROX }, routes)
  const socket = (await proxy.tunnel('fault.test:443')).detach()
  const client = tls.connect({ socket, servername: 'fault.test', ca: proxy.app.proxyCA.certificatePem })
  await once(client, 'secureConnect')
  client.on('error', () => {})
  await intercepted.next()
  // Writes a record that nobody can decrypt, past the client's TLS.
  const record = '\x17\x03\x03\x00\x20'.padEnd(37, 'x')
  type Handle = { writeLatin1String (request: object, text: string): void }
  const { _handle: handle } = socket as unknown as { _handle: Handle | null }
  handle?.writeLatin1String({ oncomplete () {} }, record)
  t.match(await proxy.log.next(/tunnel to fault.test:443 closed/), { level: 'debug', code: /^ERR_SSL_/ })
})
