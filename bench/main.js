/** `npm run bench`: installs the peers and builds the plugin, if need be, and runs the benchmark. */
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

function modified (path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}

function newest (directory) {
  return Math.max(...readdirSync(directory, { recursive: true }).map((name) => modified(`${directory}/${name}`)))
}

function npm (directory, ...args) {
  const { status } = spawnSync('npm', args, { cwd: directory, stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}

if (modified(`${here}/node_modules/.package-lock.json`) < modified(`${here}/package-lock.json`)) {
  // The peers' install scripts are for things that no workload uses.
  npm(here, 'ci', '--ignore-scripts')
}
if (modified(`${root}/dist/plugin/index.js`) < Math.max(newest(`${root}/plugin`), newest(`${root}/types`))) {
  npm(root, 'run', 'build')
}
await import('./run.js')
