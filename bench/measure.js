/** Measures a workload: all contenders are alive, and take turns in rounds. */
import { Contender } from './contender.js'
import { median, quantile } from './statistics.js'

/**
 * @param {object} workload
 * @param {object} effort
 * @param {number} effort.rounds
 * @param {number} effort.copies processes of Fastify and of the plugin: what V8 makes of their code is a matter of luck
 * @param {number} effort.block milliseconds of a contender's turn
 * @param {number} effort.warmUp milliseconds, at least
 * @param {number} effort.warmUpMax milliseconds, for workloads that say how many units it takes
 * @param {string[]} effort.execArgv flags of node for the contenders
 * @returns {Promise<object[]>} a row for each contender
 */
export async function measure (workload, effort) {
  const entries = workload.contenders
    .map((entry) => typeof entry === 'string' ? { module: entry, label: entry } : entry)
  const groups = entries.map(() => [])
  const runners = []
  try {
    for (const [i, entry] of entries.entries()) {
      const copies = entry.module.startsWith('fastify') ? effort.copies : 1
      for (let copy = 0; copy < copies; copy++) groups[i].push(await Runner.start(workload, entry, effort))
      runners.push(...groups[i])
    }
    for (const runner of runners) await runner.warmUp(effort.warmUp / 2)
    for (const runner of runners) await runner.age()
    // In turns too: V8 shrinks the memory of a process that has nothing to do for seconds, which is slower for it.
    while (!runners.every((runner) => runner.isWarm(effort))) {
      for (const runner of runners) await runner.warmUp(effort.block)
    }
    const rounds = Math.ceil(effort.rounds * (workload.rounds ?? 1))
    for (let round = 0; round < rounds; round++) {
      // Whoever comes after somebody finds the caches as he left them: the order goes round.
      for (let i = 0; i < runners.length; i++) await runners[(i + round) % runners.length].turn(effort.block)
    }
    for (const runner of runners) await runner.dispose()
  } finally {
    await Promise.all(runners.map((runner) => runner.stop()))
  }
  const rows = groups.map((group) => row(group, groups[0]))
  const absent = Object.entries(workload.absent ?? {}).map(([label, reason]) => ({ label, failure: reason }))
  return [...rows, ...absent]
}

/** The line of a contender: the mean of its processes in each round, and the middle of the rounds. */
function row (group, reference) {
  const [{ label, failure }] = group
  if (failure !== null) return { label, failure: failure.message }
  const cpu = means(group.map(({ cpu }) => cpu))
  const perSecond = means(group.map(({ throughput }) => throughput))
  const limit = means(reference.map(({ cpu }) => cpu))
  const ratios = cpu.map((each, round) => each / limit[round])
  return {
    label,
    cpu: median(cpu),
    ratio: median(ratios),
    ratioQuartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    perSecond: median(perSecond),
    rounds: { cpu, perSecond }
  }
}

/** The means of series, of their first values, second values and so on. */
function means ([first, ...others]) {
  return first.map((value, i) => others.reduce((sum, series) => sum + series[i], value) / (1 + others.length))
}

class Runner {
  #workload
  label
  #contender
  #state
  failure = null
  #required
  /** Of each round: CPU time in microseconds per unit, and units per second. */
  cpu = []
  throughput = []
  #warmUp = { units: 0, elapsed: 0 }

  static async start (workload, entry, { execArgv }) {
    const runner = new Runner()
    runner.#workload = workload
    runner.label = entry.label
    // A peer that cannot do something is shown so; bare Fastify and the plugin have to.
    runner.#required = entry.module.startsWith('fastify')
    runner.#contender = await Contender.start(entry.module, { ...workload.options, ...entry.options }, execArgv)
    await runner.#attempt(async () => { runner.#state = await workload.prepare(runner.#contender, entry) })
    return runner
  }

  /** Whether V8 has had enough to warm up with. */
  isWarm ({ warmUp, warmUpMax }) {
    const { warmUpUnits = 0 } = this.#workload
    if (this.failure !== null) return true
    return this.#warmUp.elapsed >= warmUp && (this.#warmUp.units >= warmUpUnits || this.#warmUp.elapsed >= warmUpMax)
  }

  async warmUp (milliseconds) {
    await this.#attempt(async () => {
      const begin = performance.now()
      this.#warmUp.units += await this.#workload.run(this.#state, begin + milliseconds)
      this.#warmUp.elapsed += performance.now() - begin
    })
  }

  async age () {
    await this.#attempt(() => this.#contender.age())
  }

  async turn (milliseconds) {
    await this.#attempt(async () => {
      const cpu = await this.#contender.cpu()
      const begin = performance.now()
      const units = await this.#workload.run(this.#state, begin + milliseconds)
      const seconds = (performance.now() - begin) / 1000
      this.cpu.push((await this.#contender.cpu() - cpu) / units)
      this.throughput.push(units / seconds)
    })
  }

  async dispose () {
    await this.#attempt(() => this.#workload.dispose(this.#state))
  }

  async stop () {
    await this.#contender.stop()
  }

  async #attempt (action) {
    if (this.failure !== null) return
    try {
      await action()
    } catch (err) {
      if (this.#required) throw err
      this.failure = err
    }
  }
}
