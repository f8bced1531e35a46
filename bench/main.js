/**
 * `npm run bench`: installs the peers and builds the plugin, if need be, and runs the benchmark; with `--node 26` on
 * another version of Node, which an npm package brings.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

/** Folders that the package is built from, as far as the benchmark uses them. */
const SOURCES = ['plugin', 'types', 'net', 'forward', 'har', 'warc']

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
if (modified(`${root}/dist/plugin/index.js`) < Math.max(...SOURCES.map((name) => newest(`${root}/${name}`)))) {
  npm(root, 'run', 'build')
}

const args = process.argv.slice(2)
const at = args.indexOf('--node')
if (at === -1) {
  await import('./run.js')
} else {
  const [, major] = args.splice(at, 2)
  if (!/^\d+$/.test(major)) {
    console.error('--node takes a major version: --node 26')
    process.exit(1)
  }
  const { status, signal } = spawnSync(nodeOf(major), [`${here}/run.js`, ...args], { stdio: 'inherit' })
  process.exit(signal === null ? status : 1)
}

/** The path of another Node, installed when it is not there yet. */
function nodeOf (major) {
  const name = `node-${process.platform}-${process.arch}`
  const directory = `${here}/nodes/${major}`
  const file = `${directory}/node_modules/${name}/bin/node`
  if (modified(file) === 0) {
    mkdirSync(directory, { recursive: true })
    npm(directory, 'install', '--no-save', '--prefix', directory, `${name}@${major}`)
  }
  return file
}
