/** Remembers what texts of clients were parsed to: most requests name a host that the ones before them named. */

/** How many texts are remembered; when there are more, all are forgotten. */
const TEXTS_MAX = 1_000

/** Characters of a text that is worth it. */
const LENGTH_MAX = 300

/** A function that does what `parse` does, and remembers what it parsed; `null` is not remembered. */
export function remember<Parsed extends object> (
  parse: (text: string) => Parsed | null
): (text: string) => Parsed | null {
  const known = new Map<string, Parsed>()
  return (text) => {
    const remembered = known.get(text)
    if (remembered !== undefined) return remembered
    if (text.length > LENGTH_MAX) return parse(text)
    // V8 has a part of a longer text, a whole URL say, keep that alive: what stays is a copy, and parts of that.
    const copy = Buffer.from(text).toString()
    const parsed = parse(copy)
    if (parsed === null) return null
    if (known.size >= TEXTS_MAX) known.clear()
    known.set(copy, parsed)
    return parsed
  }
}
