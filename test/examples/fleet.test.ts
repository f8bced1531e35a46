/** A fleet of four processes behind HAProxy, as the example starts it. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import type tls from 'node:tls'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { have } from '../ca/clients'
import { startRedis } from '../ca/redis'
import { secure } from '../support/proxy'
import { RawClient } from '../support/raw'
import { environment, examplePath, startExample } from './example'

const skip = have('haproxy redis-server')
const LIMIT = 5
const HOST = 'example.com'

interface Told {
  readonly url: string
  readonly client: string
  readonly tunnel: string
  readonly process: number
}

/** Clients of the fleet, each from an address of the loopback of its own. */
class Fleet {
  readonly #t: Test
  readonly #port: number
  ca = ''

  constructor (t: Test, port: number) {
    this.#t = t
    this.#port = port
  }

  async connect (from: string): Promise<RawClient<net.Socket>> {
    const socket = net.connect({ host: '127.0.0.1', port: this.#port, localAddress: from })
    const client = new RawClient(this.#t, socket)
    await once(socket, 'connect')
    return client
  }

  /** A CONNECT, and its answer. */
  async open (from: string): Promise<{ client: RawClient<net.Socket>, status: number }> {
    const client = await this.connect(from)
    client.write(`CONNECT ${HOST}:443 HTTP/1.1\r\nhost: ${HOST}:443\r\n\r\n`)
    return { client, status: (await client.response('CONNECT')).status }
  }

  async tls (from: string, options: tls.ConnectionOptions = {}): Promise<RawClient<tls.TLSSocket>> {
    const { client, status } = await this.open(from)
    if (status !== 200) throw new Error(`CONNECT: ${status}`)
    return await secure(this.#t, client.detach(), `${HOST}:443`, { ca: this.ca, ...options })
  }

  async tell (client: RawClient, path = '/'): Promise<{ told: Told, closes: boolean }> {
    const { status, headers, body } = await client.ask('GET', path, { host: HOST })
    if (status !== 200) throw new Error(`GET: ${status} ${body}`)
    return { told: JSON.parse(body), closes: headers.connection === 'close' }
  }

  async download (): Promise<string> {
    const client = await this.connect('127.0.0.1')
    return (await client.ask('GET', 'http://fastify-prox/download/pem', { connection: 'close' })).body
  }
}

/** Asks again and again, with a new connection for every three requests, in three ways by turns, and counts. */
class Load {
  requests = 0
  readonly failures: string[] = []
  readonly processes = new Set<number>()
  #stopped = false
  readonly #done: Promise<unknown>

  constructor (fleet: Fleet, clients: number) {
    this.#done = Promise.all(Array.from({ length: clients }, (_, i) => this.#run(fleet, `127.0.1.${i + 1}`)))
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #run (fleet: Fleet, from: string): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      try {
        await this.#visit(fleet, from, turn)
      } catch (err) {
        this.failures.push((err as Error).message)
      }
      await pause(20)
    }
  }

  async #visit (fleet: Fleet, from: string, turn: number): Promise<void> {
    if (turn % 3 === 2) return await this.#visitByHttp2(fleet, from)
    const client = turn % 3 === 0 ? await fleet.tls(from) : await fleet.connect(from)
    for (let i = 0; i < 3; i++) {
      const { told, closes } = await fleet.tell(client, turn % 3 === 0 ? '/' : `http://${HOST}/`)
      this.#count(told)
      if (closes) break
    }
    client.socket.destroy()
  }

  async #visitByHttp2 (fleet: Fleet, from: string): Promise<void> {
    const socket = (await fleet.tls(from, { ALPNProtocols: ['h2'] })).detach()
    const session = http2.connect(`https://${HOST}`, { createConnection: () => socket })
    session.on('error', () => {})
    for (let i = 0; i < 3 && !session.closed; i++) {
      this.#count(JSON.parse(await text(session.request({ ':path': '/' }))))
    }
    session.destroy()
  }

  #count (told: Told): void {
    this.requests++
    this.processes.add(told.process)
  }
}

function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

t.test('four processes, one CA, one command', { skip, timeout: 90_000 }, async (t) => {
  const redis = await startRedis(t)
  const settings = { REDIS_URL: redis, DRAIN: '500', CA_REFRESH: '100', TUNNELS_PER_CLIENT: String(LIMIT) }
  const { port, lines, pid, stop } = await startExample(t, 'fleet', settings)
  t.match(lines[0], /^Proxy: {2}http:\/\/localhost:\d+, 4 processes$/)
  const fleet = new Fleet(t, port)
  fleet.ca = await fleet.download()

  await t.test('one CA, and sessions that each of them resumes', async (t) => {
    let session: Buffer | undefined
    const resumed = new Map<number, boolean>()
    for (let i = 0; i < 8; i++) {
      const client = await fleet.tls('127.0.0.1', { session })
      client.socket.on('session', (received: Buffer) => { session = received })
      const { told } = await fleet.tell(client)
      if (i > 0) resumed.set(told.process, client.socket.isSessionReused())
      client.socket.destroy()
    }
    t.equal(resumed.size, 4)
    t.strictSame(new Set(resumed.values()), new Set([true]))
  })

  await t.test('who the client is, in tunnels and without', async (t) => {
    const client = await fleet.tls('127.0.0.21')
    t.match(await fleet.tell(client, '/a?b'), {
      told: { url: `https://${HOST}/a?b`, client: '127.0.0.21', tunnel: '127.0.0.21' }
    })
    const direct = await fleet.connect('127.0.0.22')
    t.match(await fleet.tell(direct, `http://${HOST}/`), { told: { client: '127.0.0.22' } })
    client.socket.destroy()
  })

  await t.test('the limit of tunnels is one for each client', async (t) => {
    const statuses: number[] = []
    const clients: RawClient<net.Socket>[] = []
    for (let i = 0; i < 4 * LIMIT + 4; i++) {
      const { client, status } = await fleet.open('127.0.0.30')
      statuses.push(status)
      clients.push(client)
    }
    t.equal(statuses.filter((status) => status === 200).length, 4 * LIMIT)
    t.strictSame(statuses.slice(4 * LIMIT), [503, 503, 503, 503])
    t.equal((await fleet.open('127.0.0.31')).status, 200, 'another one is served')
    for (const { socket } of clients) socket.destroy()
  })

  await t.test('a new CA by the command, without a restart', async (t) => {
    const command = async (step: string): Promise<void> => {
      const args = [join(examplePath('../dist/cli'), 'fastify-prox.js'), 'ca', 'rotate', step]
      await promisify(execFile)(process.execPath, [...args, '--store', join(examplePath('fleet'), 'store.mjs')], {
        env: environment({ REDIS_URL: redis })
      })
    }
    await command('announce')
    // Of each process, and each in its turn.
    for (let both = 0; both < 8;) both = (await fleet.download()).split('BEGIN').length === 3 ? both + 1 : 0
    const load = new Load(fleet, 2)
    fleet.ca = await fleet.download()
    await command('switch')
    const first = fleet.ca.slice(0, 200)
    for (let switched = 0; switched < 8;) switched = (await fleet.download()).startsWith(first) ? 0 : switched + 1
    const { requests } = load
    while (load.requests < requests + 20) await pause(10)
    await load.stop()
    t.strictSame(load.failures, [])
    await command('drop')
  })

  await t.test('a rolling restart of all four under load loses no request', async (t) => {
    const load = new Load(fleet, 4)
    while (load.processes.size < 4) await pause(10)
    const before = new Set(load.processes)
    load.processes.clear()
    process.kill(pid, 'SIGHUP')
    while ([...load.processes].filter((each) => !before.has(each)).length < 4) await pause(10)
    await load.stop()
    t.strictSame(load.failures, [])
    t.comment(`${load.requests} requests, ${load.failures.length} failed`)
  })

  await t.test('one that is killed takes its own tunnels with it, and nothing else', async (t) => {
    const tunnels = new Map<number, RawClient<tls.TLSSocket>>()
    while (tunnels.size < 4) {
      const client = await fleet.tls('127.0.0.41')
      const pid = (await fleet.tell(client)).told.process
      if (tunnels.has(pid)) client.socket.destroy()
      else tunnels.set(pid, client)
    }
    const [first, ...others] = tunnels
    const [victim, lost] = first!
    process.kill(victim, 'SIGKILL')
    t.equal(await lost.closed(), '')
    // What it had accepted and not served ends with it; from now on it refuses.
    while (isRunning(victim)) await pause(1)
    const load = new Load(fleet, 3)
    for (const [pid, client] of others) t.equal((await fleet.tell(client)).told.process, pid, 'its tunnel goes on')
    // It is replaced, and takes part again.
    while ([...load.processes].every((pid) => tunnels.has(pid))) await pause(10)
    t.notOk(load.processes.has(victim))
    await load.stop()
    t.strictSame(load.failures, [])
    t.comment(`${load.requests} requests, ${load.failures.length} failed`)
  })

  t.equal(await stop(), 0)
})

t.test('with a Redis of its own', { skip }, async (t) => {
  const { port, stop } = await startExample(t, 'fleet', { PROCESSES: '1', DRAIN: '0' })
  const fleet = new Fleet(t, port)
  fleet.ca = await fleet.download()
  t.equal((await fleet.tell(await fleet.tls('127.0.0.1'))).told.client, '127.0.0.1')
  t.equal(await stop(), 0)
})
