/** Looks periodically whether a store keeps another bundle than before. */

interface Refreshed {
  /** Never rejects. */
  refresh (): Promise<void>
}

/**
 * Refreshes something until it is no longer used or `stop` is called; the process does not stay for it.
 *
 * @param period in milliseconds; 0: never
 * @returns stop
 */
export function refreshPeriodically (refreshed: Refreshed, period: number): () => void {
  if (period === 0) return () => {}
  const reference = new WeakRef(refreshed)
  const timer = setInterval(() => {
    const alive = reference.deref()
    if (alive === undefined) clearInterval(timer)
    else alive.refresh()
  }, period).unref()
  return () => clearInterval(timer)
}
