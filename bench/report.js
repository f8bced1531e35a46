/** Tables for people, in Markdown, which a terminal shows well enough. */
import { readFileSync } from 'node:fs'
import os from 'node:os'

const CPU_COLUMNS = [
  ['CPU, µs', ({ cpu }) => cpu < 100 ? cpu.toFixed(1) : cpu.toFixed(0)],
  ['ratio', ({ ratio }) => ratio.toFixed(2)],
  ['half of the rounds', ({ ratioQuartiles: [low, high] }) => `${low.toFixed(2)} - ${high.toFixed(2)}`],
  ['a second', ({ perSecond }) => perSecond < 100 ? perSecond.toFixed(1) : perSecond.toFixed(0)]
]

const GOAL_OF = 'fastify-prox'

export function table (workload, rows) {
  const columns = workload.columns ?? CPU_COLUMNS
  const head = ['', ...columns.map(([title]) => title)]
  const cells = rows.map((row) => row.failure === undefined
    ? [row.label, ...columns.map(([, value]) => value(row, rows))]
    : [row.label, ...columns.map((_, i) => i === 0 ? `- (${row.failure.split('\n')[0]})` : '-')])
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i].length), 3))
  const pad = (cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])
  const line = (row) => `| ${row.map(pad).join(' | ')} |`
  const rule = `|${widths.map((width, i) => i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`).join('|')}|`
  const per = workload.unit === undefined ? '' : `, per ${workload.unit}`
  const title = `### ${workload.title}${per}`
  return [title, '', line(head), rule, ...cells.map(line), ...goal(workload, rows), ''].join('\n')
}

function goal (workload, rows) {
  const row = rows.find(({ label }) => label === GOAL_OF)
  if (workload.goal === undefined || row?.ratio === undefined) return []
  return ['', `Goal: ${workload.goal.toFixed(2)}; ${row.ratio <= workload.goal ? 'reached' : 'not reached'}.`]
}

/** What the numbers depend on. */
export function machine () {
  const [cpu] = os.cpus()
  return {
    cpu: `${cpu.model.trim()} x ${os.cpus().length}`,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    system: `${os.type()} ${os.release()}`,
    node: process.version,
    openssl: process.versions.openssl,
    load: os.loadavg()[0].toFixed(1),
    date: new Date().toISOString().slice(0, 10),
    versions: Object.fromEntries(['fastify', 'mockttp', 'http-mitm-proxy']
      .map((name) => [name, versionOf(`node_modules/${name}/package.json`)])
      .concat([['fastify-prox', versionOf('../package.json')]]))
  }
}

function versionOf (file) {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')).version
}

export function machineText ({ cpu, memory, system, node, openssl, load, date, versions }) {
  const names = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')
  const machine = `${cpu}, ${memory}, ${system}, load ${load} at the start`
  return `${date}; ${machine}; Node ${node}, OpenSSL ${openssl}; ${names}.\n`
}
