/**
 * A proxy in a process of its own that HTTP/2 frames are thrown at, by four ways in.
 *
 *   const attacked = await Attacked.start(t)
 *   await attacked.attack('plain', [Buffer.concat(frames)])     one connection, a write each
 *   await attacked.serves()                                     it lives and answers a good client; or throws
 *   await attacked.empty()                                      nothing is open; or throws
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import type { Duplex } from 'node:stream'
import type { Test } from 'tap'
import { ACK, TYPE, ping } from '../support/http2-frames'

export interface AttackedPorts {
  readonly http1: number
  readonly http2: number
  readonly ca: string
}

export interface AttackedCounts {
  readonly connections: number
  readonly tunnels: number
}

/** A tunnel, TLS in a tunnel, a tunnel over HTTP/2 (and TLS in it), the proxy's own HTTP/2. */
export const WAYS = ['plain', 'tls', 'over HTTP/2', 'TLS over HTTP/2', 'direct'] as const

export type Way = typeof WAYS[number]

/** How long the server may take to answer or to close, in milliseconds. */
const BOUND = 10_000

/** The content of the last PING: a server that answers it has seen all the rest. */
const LAST = Buffer.from('the last')
const LAST_ACK = ping(LAST, ACK)

interface Carrier {
  readonly stream: Duplex
  /** Resets the connection below the stream. */
  reset (): void
}

/**
 * Resets a connection, or closes it when a TLS layer above has begun to end it: libuv refuses to reset a socket whose
 * shutdown is under way (uv_tcp_close_reset), and Node then never closes the descriptor.
 */
function resetOrClose (socket: net.Socket, layers: Duplex[]): void {
  if (layers.some((layer) => layer.destroyed || layer.writableEnded)) socket.destroy()
  else socket.resetAndDestroy()
}

export class Attacked {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #ports: AttackedPorts = { http1: 0, http2: 0, ca: '' }
  #stderr = ''

  static async start (t: Test): Promise<Attacked> {
    const child = fork(join(__dirname, 'attacked-server'), { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
    const attacked = new Attacked(child)
    t.teardown(async () => {
      if (!attacked.alive) return
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    })
    const [ports] = await once(child, 'message') as [AttackedPorts]
    attacked.#ports = ports
    return attacked
  }

  constructor (child: ChildProcess) {
    this.#child = child
    this.#exited = once(child, 'exit')
    child.stderr!.on('data', (bytes: Buffer) => { this.#stderr += bytes.toString() })
  }

  get alive (): boolean { return this.#child.exitCode === null && this.#child.signalCode === null }

  /**
   * Sends what it is given on a connection of its own, waits until the server has seen it or closed, and leaves.
   * @param vanish resets the connection right behind the writes
   * @param stay how long it does not leave, in milliseconds
   */
  async attack (way: Way, writes: Buffer[], { vanish = false, stay = 0 } = {}): Promise<void> {
    const { stream, reset } = await this.#open(way).catch((err) => this.#throwIfDead(err))
    try {
      let received = Buffer.alloc(0)
      const seen = new Promise<void>((resolve) => {
        stream.on('data', (bytes: Buffer) => {
          received = Buffer.concat([received, bytes])
          if (isAnswered(received)) resolve()
        })
        for (const event of ['end', 'close']) stream.on(event, () => resolve())
      })
      for (const bytes of writes) {
        if (!stream.writable) break
        stream.write(bytes)
        if (writes.length > 1) await new Promise(setImmediate)
      }
      if (vanish) return
      if (stream.writable) stream.write(ping(LAST))
      await bounded(seen, () => `neither an answer nor an end: ${received.toString('hex')}`)
      if (stay > 0) await new Promise((resolve) => setTimeout(resolve, stay))
    } finally {
      reset()
    }
  }

  /** @throws when the process has ended, or a good client gets no answer */
  async serves (): Promise<void> {
    await this.#serve().catch((err) => this.#throwIfDead(err))
  }

  /** Waits until no connection is open, and no tunnel by any way. */
  async empty (): Promise<void> {
    let counts = await this.#count()
    for (const end = Date.now() + BOUND; counts.connections + counts.tunnels > 0; counts = await this.#count()) {
      if (Date.now() > end) throw new Error(`left behind: ${JSON.stringify(counts)}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  async #serve (): Promise<void> {
    const { stream, reset } = await this.#open('plain')
    stream.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    const [answer] = await once(stream, 'data') as [Buffer]
    reset()
    if (!answer.toString().startsWith('HTTP/1.1 200')) throw new Error(`a good client got ${answer.toString()}`)
  }

  async #count (): Promise<AttackedCounts> {
    if (this.#child.connected) this.#child.send('count')
    return await Promise.race([once(this.#child, 'message'), this.#exited.then(() => this.#throwIfDead())])
      .then(([counts]) => counts as AttackedCounts)
  }

  /** Says how the process ended, if it did: its connections end a little before it does. */
  async #throwIfDead (err = new Error('the process has ended')): Promise<never> {
    await Promise.race([this.#exited, new Promise((resolve) => setTimeout(resolve, 500).unref())])
    if (this.alive) throw err
    throw new Error(`the process ended: ${this.#stderr}`)
  }

  /** Opens a connection to where the frames go; rejects when the process ends meanwhile. */
  async #open (way: Way): Promise<Carrier> {
    const ended = this.#exited.then(() => { throw new Error('the process has ended') })
    return await Promise.race([this.#connect(way), ended])
  }

  async #connect (way: Way): Promise<Carrier> {
    const direct = way === 'direct' || way.endsWith('over HTTP/2')
    const port = direct ? this.#ports.http2 : this.#ports.http1
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
    socket.on('error', () => {})
    const layers: Duplex[] = [socket]
    const reset = (): void => { resetOrClose(socket, layers) }
    await once(socket, 'connect')
    const outer = direct ? await this.#secure(socket, 'localhost') : socket
    layers.push(outer)
    if (way === 'direct') return { stream: outer, reset }
    const tunnel = direct ? await connectHttp2(outer) : await connectHttp1(socket)
    layers.push(tunnel)
    if (way === 'plain' || way === 'over HTTP/2') return { stream: tunnel, reset }
    const inner = await this.#secure(tunnel, 'a.test')
    layers.push(inner)
    return { stream: inner, reset }
  }

  async #secure (socket: Duplex, host: string): Promise<tls.TLSSocket> {
    const secured = tls.connect({ socket, host, servername: host, ca: this.#ports.ca, ALPNProtocols: ['h2'] })
    await once(secured, 'secureConnect')
    return secured.on('error', () => {})
  }
}

async function connectHttp2 (secured: Duplex): Promise<Duplex> {
  const session = http2.connect('https://localhost', { createConnection: () => secured })
  session.on('error', () => {})
  const stream = session.request({ ':method': 'CONNECT', ':authority': 'a.test:80' }, { endStream: false })
  stream.on('error', () => {})
  await once(stream, 'response')
  return stream
}

async function connectHttp1 (socket: net.Socket): Promise<net.Socket> {
  socket.write('CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n')
  await once(socket, 'data')
  return socket
}

/** Whether the server has seen the last frame, or said that it goes. */
function isAnswered (received: Buffer): boolean {
  for (let at = 0; at + 9 <= received.length; at += 9 + received.readUIntBE(at, 3)) {
    if (received[at + 3] === TYPE.GOAWAY || received.subarray(at, at + LAST_ACK.length).equals(LAST_ACK)) return true
  }
  return false
}

async function bounded (promise: Promise<void>, describe: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(describe())), BOUND)
  })
  await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
