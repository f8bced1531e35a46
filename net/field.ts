/** Tells fields of recorded messages that can be sent from those that cannot. */
import { validateHeaderName, validateHeaderValue } from 'node:http'

/** Whether Node writes a field of this name and value. */
export function isField (name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch {
    return false
  }
}
