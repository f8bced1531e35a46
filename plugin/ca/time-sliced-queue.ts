/** Work that comes in crowds, done in turns, so that the event loop gets its own turn in between. */

/** How long one turn lasts, in milliseconds; the last job of a turn may end after it. */
const TURN = 1

interface Job {
  run (): void
}

/** Runs jobs in the order of their arrival. */
export class Turns {
  #jobs: Job[] = []
  #next = 0

  /** Runs a job in one of the next turns; the promise has what the job returns or throws. */
  async run<T> (job: () => T): Promise<T> {
    return await new Promise<T>((resolve, reject) => {
      if (this.#jobs.length === 0) setImmediate(this.#turn)
      this.#jobs.push({
        run () {
          try {
            resolve(job())
          } catch (error) {
            reject(error)
          }
        }
      })
    })
  }

  #turn = (): void => {
    const end = performance.now() + TURN
    while (this.#next < this.#jobs.length) {
      if (performance.now() >= end) {
        setImmediate(this.#turn)
        return
      }
      this.#jobs[this.#next++]!.run()
    }
    this.#jobs = []
    this.#next = 0
  }
}
