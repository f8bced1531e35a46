/** A contender in a process of its own, which answers the benchmark over IPC. */
import { rmSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'

const [name, options] = process.argv.slice(2)
const { start } = await import(`./${name}.js`)
const { directory, cpu = ownCpu, ...contender } = await start(JSON.parse(options))

let delay

function ownCpu () {
  const { user, system } = process.cpuUsage()
  return user + system
}

const answers = {
  /** In microseconds. */
  cpu: () => cpu(),

  /** Bytes that stay: collected again until no more comes free, since finalisers let go of memory late. */
  async memory () {
    let rss = Infinity
    for (;;) {
      globalThis.gc()
      await setTimeout(200)
      const now = process.memoryUsage()
      if (now.rss > 0.998 * rss) return { rss: now.rss, heapUsed: now.heapUsed }
      rss = now.rss
    }
  },

  /** Bytes, with what waits for a garbage collection. */
  rss: () => process.memoryUsage.rss(),

  /**
   * Makes the process as old as one that has served for long. After some full collections `process.nextTick` is five
   * times slower for good (Node 20, with nothing but Node); a contender that came to it by chance would be the loser.
   */
  async age () {
    for (let i = 0; i < 8; i++) {
      await setTimeout(20)
      globalThis.gc()
    }
  },

  watchDelay () {
    delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
  },

  delay () {
    delay.disable()
    return { max: delay.max / 1e6, p99: delay.percentile(99) / 1e6, mean: delay.mean / 1e6 }
  }
}

process.on('message', async (question) => {
  process.send({ answer: await answers[question]() })
})
process.on('disconnect', () => process.exit())
process.on('exit', () => { if (directory !== undefined) rmSync(directory, { recursive: true, force: true }) })
process.send({ answer: contender })
