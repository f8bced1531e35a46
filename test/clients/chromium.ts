/** Drives a headless Chromium by the Chrome DevTools Protocol over a pipe, with a profile and a home of its own. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'

/** Where Debian has it. */
export const CHROMIUM = '/usr/bin/chromium'

/** Why tests with Chromium cannot run here, or `false`: what tap takes as `skip`. */
export const withoutChromium = missing(['chromium', 'chromium'], ['certutil', 'libnss3-tools'])

/** Why tests that need these commands cannot run here, or `false`: what tap takes as `skip`. */
export function missing (...needed: Array<readonly [command: string, debianPackage: string]>): string | false {
  const found = needed.find(([command]) => spawnSync(command, ['--version'], { stdio: 'ignore' }).error !== undefined)
  return found !== undefined && `${found[0]} is not installed (Debian's package ${found[1]})`
}

type Params = Record<string, unknown>
interface Message {
  id?: number
  method?: string
  params?: Params
  result?: Params
  error?: { message: string }
  sessionId?: string
}
type Listener = (message: Message) => void

export interface ChromiumOptions {
  /** `host:port` of the proxy that everything goes through; `'direct://'`: none, unless a page has its own. */
  proxy?: string
  /** Where a proxy auto-configuration file is, in place of `proxy`. */
  pac?: string
  /** Name of a PEM file: a CA that Chromium trusts. Default: none but the public ones. */
  ca?: string
  /** Further switches of the command line. */
  flags?: readonly string[]
}

/** Where Chromium keeps its NSS database, under the home directory: where it looks has changed over the versions. */
const DATABASES = ['.pki/nssdb', '.local/share/pki/nssdb']

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--remote-debugging-pipe'
]

/** A home directory of its own for a browser. */
export interface Home {
  readonly directory: string
  readonly env: NodeJS.ProcessEnv
  remove (): Promise<void>
}

/** Makes an NSS database, in which a CA is trusted. */
export async function makeDatabase (directory: string, ca: string | undefined): Promise<void> {
  await mkdir(directory, { recursive: true })
  const certutil = async (...args: string[]): Promise<void> => {
    await promisify(execFile)('certutil', ['-d', `sql:${directory}`, ...args])
  }
  await certutil('-N', '--empty-password')
  if (ca !== undefined) await certutil('-A', '-t', 'C,,', '-n', 'fastify-prox', '-i', ca)
}

/** Makes a home directory whose NSS databases trust a CA. */
export async function makeHome (ca: string | undefined): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'fastify-prox-browser-'))
  for (const path of DATABASES) await makeDatabase(join(directory, path), ca)
  const { XDG_DATA_HOME, XDG_CONFIG_HOME, XDG_CACHE_HOME, ...env } = process.env
  return {
    directory,
    env: { ...env, HOME: directory },
    async remove () {
      // Helper processes of the browser may still be writing to the profile for a moment.
      await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    }
  }
}

export class Chromium {
  readonly #process: ChildProcess
  readonly #home: Home
  readonly #input: Writable
  readonly #listeners = new Set<Listener>()
  #lastId = 0

  private constructor (child: ChildProcess, home: Home) {
    this.#process = child
    this.#home = home
    this.#input = child.stdio[3] as Writable
    // A browser that ends before its time shows in the command that then has no answer.
    this.#input.on('error', () => {})
    let rest = ''
    const output = child.stdio[4] as Readable
    output.setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (rest + chunk).split('\0')
      rest = messages.pop() as string
      for (const message of messages) this.#receive(JSON.parse(message) as Message)
    })
  }

  static async launch ({ proxy = 'direct://', pac, ca, flags = [] }: ChromiumOptions): Promise<Chromium> {
    const home = await makeHome(ca)
    const profile = `--user-data-dir=${join(home.directory, 'profile')}`
    const way = pac === undefined ? `--proxy-server=${proxy}` : `--proxy-pac-url=${pac}`
    const child = spawn('chromium', [...FLAGS, ...flags, profile, way, 'about:blank'], {
      env: home.env, stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe']
    })
    await once(child, 'spawn')
    return new Chromium(child, home)
  }

  #receive (message: Message): void {
    for (const listener of [...this.#listeners]) listener(message)
  }

  /** Resolves with the first message that `matches`. */
  #message (matches: (message: Message) => boolean): Promise<Message> {
    return new Promise((resolve, reject) => {
      const ended = (): void => { reject(new Error('Chromium has ended')) }
      const listener: Listener = (message) => {
        if (!matches(message)) return
        this.#listeners.delete(listener)
        this.#process.off('exit', ended)
        resolve(message)
      }
      this.#listeners.add(listener)
      this.#process.once('exit', ended)
    })
  }

  async send (method: string, params: Params = {}, sessionId?: string): Promise<Params> {
    const id = ++this.#lastId
    const answer = this.#message((message) => message.id === id)
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    const { error, result } = await answer
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result as Params
  }

  event (method: string, sessionId: string): Promise<Params> {
    const matches = (message: Message): boolean => message.method === method && message.sessionId === sessionId
    return this.#message(matches).then(({ params }) => params as Params)
  }

  /**
   * Opens a page that shares nothing with others: no connections, no cookies.
   * @param proxyServer `host:port` of the proxy that everything goes through; `'direct://'`: none. Default: as the
   * browser was launched
   */
  async page (proxyServer?: string): Promise<Page> {
    const { browserContextId } = await this.send('Target.createBrowserContext', { proxyServer })
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId })
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const page = new Page(this, sessionId as string)
    await page.send('Page.enable')
    return page
  }

  async close (): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, 'exit')
      this.#input.write(`${JSON.stringify({ id: ++this.#lastId, method: 'Browser.close' })}\0`)
      await exit
    }
    await this.#home.remove()
  }
}

export class Page {
  readonly #browser: Chromium
  readonly #session: string

  constructor (browser: Chromium, session: string) {
    this.#browser = browser
    this.#session = session
  }

  send (method: string, params?: Params): Promise<Params> {
    return this.#browser.send(method, params, this.#session)
  }

  /** Loads a page with all that is on it. Resolves with the network's error, `net::ERR_…`, or `null`. */
  async navigate (url: string): Promise<string | null> {
    return await twice(async () => {
      const loaded = this.#browser.event('Page.loadEventFired', this.#session)
      const { errorText } = await this.send('Page.navigate', { url })
      await loaded
      return (errorText as string | undefined) ?? null
    })
  }

  /** The value of an expression; a promise is awaited. */
  async evaluate (expression: string): Promise<unknown> {
    const params = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await twice(async () => await this.send('Runtime.evaluate', params))
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value?: unknown }).value
  }
}

/** How long Chromium may take for a step, in milliseconds. */
const PATIENCE = 30_000

/** Asks once more for what does not come: on a busy machine Chromium was seen to never answer. */
async function twice<T> (ask: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<null>((resolve) => { timer = setTimeout(resolve, PATIENCE, null) })
  const first = await Promise.race([ask().then((value) => ({ value })), late]).finally(() => clearTimeout(timer))
  return first === null ? await ask() : first.value
}
