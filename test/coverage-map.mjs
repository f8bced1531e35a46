/** What the tests are to cover: every source of the package, and neither what was built of it nor the examples. */
import { readdirSync } from 'node:fs'

const sources = ['plugin', 'cli'].flatMap((room) => readdirSync(room, { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `${room}/${name}`))

export default () => sources
