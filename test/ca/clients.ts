/** Which programs are there to try the certificates with. */
import { spawnSync } from 'node:child_process'

/** `false` when some programs, with spaces between them, are there; else why their test is skipped. */
export function have (programs: string): string | false {
  const missing = programs.split(' ').find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
  return missing === undefined ? false : `${missing} is not installed`
}
