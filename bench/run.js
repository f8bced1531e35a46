/** Runs the workloads that were asked for, prints a table for each, and keeps the numbers. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { measure } from './measure.js'
import { machine, machineText, table } from './report.js'
import { workloads } from './workloads/index.js'

/** What `measure` takes; and in how many processes of a contender memory is measured. */
const FULL = { rounds: 24, copies: 2, block: 150, warmUp: 1_500, warmUpMax: 20_000, processes: 3 }
const QUICK = { rounds: 3, copies: 1, block: 150, warmUp: 300, warmUpMax: 1_000, processes: 1 }

const RESULTS = new URL('results/', import.meta.url)
const RECORD = new URL('RESULTS.md', import.meta.url)
/** What stands in RESULTS.md for one major version of Node. */
const [MAJOR] = process.versions.node.split('.')
const TABLES = new RegExp(`(?<=<!-- Node ${MAJOR} -->\\n)[^]*(?=<!-- end of Node ${MAJOR} -->)`)

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})

const unknown = names.filter((name) => !workloads.some((workload) => isNamed(workload, name)))
if (options.help || unknown.length > 0) {
  if (unknown.length > 0) console.error(`No such workload: ${unknown.join(', ')}\n`)
  console.log(`npm run bench -- [workload ...] [--quick] [--record] [--profile directory]

  --node     the major version of Node to run on, which npm installs; default: the one that runs this
  --quick    a short run: is everything there, and roughly how fast
  --record   put the tables into RESULTS.md, in the section of this Node
  --profile  CPU profiles of the contenders, one file for each process

Workloads: ${workloads.map(({ name }) => name).join(', ')}`)
  process.exit(unknown.length > 0 ? 1 : 0)
}

const chosen = names.length === 0
  ? workloads
  : workloads.filter((workload) => names.some((name) => isNamed(workload, name)))
const effort = {
  ...(options.quick ? QUICK : FULL),
  execArgv: options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`]
}

const environment = machine()
console.log(machineText(environment))
const results = []
const tables = []
for (const workload of chosen) {
  const rows = await (workload.measure?.(effort) ?? measure(workload, effort))
  results.push({ name: workload.name, title: workload.title, unit: workload.unit, goal: workload.goal, rows })
  tables.push(table(workload, rows))
  console.log(tables.at(-1))
}

mkdirSync(RESULTS, { recursive: true })
const file = new URL(`${new Date().toISOString().replaceAll(':', '-').slice(0, 19)}.json`, RESULTS)
writeFileSync(file, JSON.stringify({ machine: environment, effort, results }, null, 2))
if (options.record) {
  const text = `\n${[machineText(environment), ...tables].join('\n')}\n`
  const before = readFileSync(RECORD, 'utf8')
  if (!TABLES.test(before)) throw new Error(`RESULTS.md has no section for Node ${MAJOR}`)
  writeFileSync(RECORD, before.replace(TABLES, () => text))
}

function isNamed ({ name, group }, wanted) {
  return wanted === name || wanted === group
}
