/** CPU time of other processes. */
import { readdirSync, readFileSync } from 'node:fs'

/** CPU time of all threads of a process, in microseconds (proc(5): the scheduler counts nanoseconds). */
export function cpuOf (pid) {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000)
    .reduce((sum, time) => sum + time)
}
