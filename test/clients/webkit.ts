/**
 * Drives WebKitGTK's MiniBrowser by WebDriver under Xvfb. It trusts what the system trusts and nothing else: it runs in
 * a mount namespace of its own, in which the CA stands in the place of the system's certificates.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { request } from 'undici'
import { makeHome, missing } from './chromium'
import type { Home } from './chromium'

const ROOTS = '/etc/ssl/certs/ca-certificates.crt'

/** Where Debian has it: in a folder of the architecture and of the version. */
const BROWSER = readdirSync('/usr/lib', { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
  .flatMap(({ name }) => ['4.1', '4.0'].map((version) => `/usr/lib/${name}/webkit2gtk-${version}/MiniBrowser`))
  .find(existsSync)

/** Runs a command where a file stands in the place of the system's certificates. */
const withRoots = (file: string, ...command: string[]): [file: string, args: string[]] => {
  return ['unshare', ['--mount', 'sh', '-c', 'mount --bind "$0" "$1" && shift && exec "$@"', file, ROOTS, ...command]]
}

/** Why tests with WebKitGTK cannot run here, or `false`: what tap takes as `skip`. */
export const withoutWebKit = missing(['WebKitWebDriver', 'webkit2gtk-driver'], ['Xvfb', 'xvfb']) || (
  BROWSER === undefined
    ? 'MiniBrowser is not installed'
    : spawnSync(...withRoots(ROOTS, 'true')).status !== 0 && 'file systems cannot be mounted here'
)

export interface WebKitOptions {
  /** `host:port` of the proxy that everything goes through. */
  readonly proxy: string
  /** Name of a PEM file: the only certificates that it trusts. */
  readonly ca: string
}

export class WebKit {
  readonly #children: ChildProcess[] = []
  readonly #home: Home
  #origin = ''
  #session = ''

  private constructor (home: Home) {
    this.#home = home
  }

  static async launch ({ proxy, ca }: WebKitOptions): Promise<WebKit> {
    const browser = new WebKit(await makeHome(undefined))
    try {
      const display = await browser.#firstLine('Xvfb', ['-displayfd', '1', '-screen', '0', '800x600x24'], {})
      await browser.#startDriver(ca, `:${display}`)
      // With WebDriver's capability `proxy` in its place, https URLs do not get to it.
      const options = { binary: BROWSER, args: ['--automation', `--proxy=http://${proxy}`] }
      const alwaysMatch = { 'webkitgtk:browserOptions': options }
      const { sessionId } = await browser.#send('POST', '', { capabilities: { alwaysMatch } }) as { sessionId: string }
      browser.#session = `/${sessionId}`
      await browser.#send('POST', `${browser.#session}/timeouts`, { script: 20_000, pageLoad: 20_000 })
      return browser
    } catch (err) {
      await browser.close()
      throw err
    }
  }

  async goto (url: string): Promise<void> {
    await this.#send('POST', `${this.#session}/url`, { url })
  }

  /** The value of an expression; a promise is awaited. */
  async evaluate (expression: string): Promise<unknown> {
    const script = `const done = arguments[0]
      Promise.resolve(${expression}).then((value) => done({ value }), (err) => done({ failed: String(err) }))`
    const result = await this.#send('POST', `${this.#session}/execute/async`, { script, args: [] })
    const { value, failed } = result as { value?: unknown, failed?: string }
    if (failed !== undefined) throw new Error(failed)
    return value
  }

  async close (): Promise<void> {
    if (this.#session !== '') await this.#send('DELETE', this.#session)
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const exit = once(child, 'exit')
      child.kill()
      await exit
    }
    await this.#home.remove()
  }

  #spawn (file: string, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
    const child = spawn(file, args, { env: { ...this.#home.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] })
    this.#children.push(child)
    return child
  }

  /** Starts a program, and resolves with the first line that it prints. */
  async #firstLine (file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const [line] = await once(createInterface(this.#spawn(file, args, env).stdout!), 'line')
    return line
  }

  /** Starts WebKitWebDriver, and resolves when it answers: it says nothing of itself. */
  async #startDriver (ca: string, DISPLAY: string): Promise<void> {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    await once(server.close(), 'close')
    this.#origin = `http://127.0.0.1:${port}`
    const driver = this.#spawn(...withRoots(ca, 'WebKitWebDriver', `--port=${port}`), { DISPLAY })
    for (let attempt = 0; attempt < 200 && driver.exitCode === null; attempt++) {
      try {
        await request(`${this.#origin}/status`)
        return
      } catch {
        await setTimeout(50)
      }
    }
    throw new Error('WebKitWebDriver does not answer')
  }

  async #send (method: 'POST' | 'DELETE', path: string, parameters: object = {}): Promise<unknown> {
    const body = method === 'POST' ? JSON.stringify(parameters) : null
    const response = await request(`${this.#origin}/session${path}`, { method, body })
    const { value } = await response.body.json() as { value: unknown }
    if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`)
    return value
  }
}
