/** A contender as the benchmark sees it: a process that serves, and that tells what it used. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createSecureContext } from 'node:tls'

const PROGRAM = fileURLToPath(new URL('contenders/process.js', import.meta.url))

export class Contender {
  #child
  #waiting = null
  #output = ''

  /**
   * @param {string} name a module under contenders/
   * @param {object} options for it
   * @param {string[]} execArgv further flags of node
   */
  static async start (name, options, execArgv = []) {
    const contender = new Contender()
    contender.name = name
    contender.#child = fork(PROGRAM, [name, JSON.stringify(options)], {
      execArgv: ['--expose-gc', ...execArgv],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc']
    })
    // Kept to explain a failure; peers also complain of clients that leave.
    for (const stream of [contender.#child.stdout, contender.#child.stderr]) {
      stream.on('data', (chunk) => { contender.#output = (contender.#output + chunk).slice(-2000) })
    }
    contender.#child.on('message', ({ answer }) => {
      const { resolve } = contender.#waiting
      contender.#waiting = null
      resolve(answer)
    })
    contender.#child.on('exit', (code, signal) => {
      contender.#waiting?.reject(new Error(`${name} ended (${signal ?? code}): ${contender.#output}`))
    })
    const { port, ca, proxy, authority } = await contender.#answer()
    contender.port = port
    contender.proxy = proxy
    contender.authority = authority
    contender.secureContext = createSecureContext({ ca })
    return contender
  }

  /** CPU time used so far, in microseconds. */
  async cpu () { return await this.#ask('cpu') }

  /** Bytes, after a garbage collection. */
  async memory () { return await this.#ask('memory') }

  /** Bytes, as they are. */
  async rss () { return await this.#ask('rss') }

  /** Puts the process into the state that full garbage collections leave behind. */
  async age () { return await this.#ask('age') }

  /** Watches the delay of the event loop from now on. */
  async watchDelay () { return await this.#ask('watchDelay') }

  /** Milliseconds since `watchDelay`. */
  async delay () { return await this.#ask('delay') }

  async stop () {
    if (this.#child.exitCode !== null) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await ended
  }

  async #ask (question) {
    const answer = this.#answer()
    this.#child.send(question)
    return await answer
  }

  #answer () {
    return new Promise((resolve, reject) => { this.#waiting = { resolve, reject } })
  }
}
