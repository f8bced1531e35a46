/** A line at the bottom of a terminal that is written anew while something goes on. */
import type { Output } from './output'

/** Milliseconds between two times. */
const EVERY = 500

const ERASE = '\r\x1b[K'

/**
 * Shows a line, unless the output is no terminal.
 * @returns ends it, and erases it
 */
export function showProgress (stderr: Output['stderr'], line: () => string): () => void {
  if (stderr.isTTY !== true) return () => {}
  let shown = ''
  const show = (): void => {
    const next = line()
    if (next !== shown) stderr.write(ERASE + next)
    shown = next
  }
  show()
  const timer = setInterval(show, EVERY)
  return () => {
    clearInterval(timer)
    stderr.write(ERASE)
  }
}
