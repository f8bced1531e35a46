/** Runs jobs of the CPU in slices of time, so that the event loop serves everyone else in between. */
import { FST_PROX_CA_BUSY } from '../errors'

/** How long one slice lasts, in milliseconds; its last job may end after it. */
const SLICE = 1

interface Job {
  run (): void
  next: Job | null
}

/** Jobs in the order of their arrival. A linked list, so that a job that has run is referenced by nothing. */
class Lane {
  size = 0
  #first: Job | null = null
  #last: Job | null = null

  push (run: () => void): void {
    const job: Job = { run, next: null }
    if (this.#last === null) this.#first = job
    else this.#last.next = job
    this.#last = job
    this.size++
  }

  shift (): Job | null {
    const job = this.#first
    if (job === null) return null
    this.#first = job.next
    if (this.#first === null) this.#last = null
    this.size--
    return job
  }
}

/** Runs jobs in the order of their arrival, urgent ones first. */
export class TimeSlicedQueue {
  readonly #limit: number
  readonly #urgent = new Lane()
  readonly #ordinary = new Lane()

  /** @param limit how many jobs may wait, urgent and ordinary ones counted apart. */
  constructor (limit: number) {
    this.#limit = limit
  }

  /**
   * Runs a job in one of the next slices.
   *
   * @returns what the job returns or throws.
   * @throws FST_PROX_CA_BUSY, at once, when too many jobs wait.
   */
  run<T> (job: () => T, urgent = false): Promise<T> {
    const lane = urgent ? this.#urgent : this.#ordinary
    if (lane.size >= this.#limit) throw new FST_PROX_CA_BUSY(this.#limit)
    if (this.#urgent.size + this.#ordinary.size === 0) setImmediate(this.#runSlice)
    return new Promise<T>((resolve, reject) => {
      lane.push(() => {
        try {
          resolve(job())
        } catch (err) {
          reject(err)
        }
      })
    })
  }

  readonly #runSlice = (): void => {
    const end = performance.now() + SLICE
    for (;;) {
      const job = this.#urgent.shift() ?? this.#ordinary.shift()
      if (job === null) return
      job.run()
      if (this.#urgent.size + this.#ordinary.size > 0 && performance.now() >= end) {
        setImmediate(this.#runSlice)
        return
      }
    }
  }
}
