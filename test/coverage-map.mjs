/** What the tests are to cover: every source of the package, and neither what was built of it nor the examples. */
import { existsSync, readdirSync } from 'node:fs'

const FOLDERS = ['plugin', 'net', 'forward', 'har', 'warc', 'cli'].filter((folder) => existsSync(folder))

const sources = FOLDERS.flatMap((folder) => readdirSync(folder, { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `${folder}/${name}`))

export default () => sources
