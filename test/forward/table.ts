/** Runs every behaviour against all contenders and writes the table of docs/forward.md: `npm run forward-table`. */
import { readFileSync, writeFileSync } from 'node:fs'
import { BEHAVIOURS } from './behaviours'
import { CONTENDERS, Scene } from './contenders'

const FILE = 'docs/forward.md'
const TABLE = /(?<=<!-- table -->\n)[^]*(?=<!-- end of table -->)/

async function main (): Promise<void> {
  const scene = await Scene.open()
  const rows = [['', 'right', ...CONTENDERS].join(' | '), '---|---|---|---|---']
  for (const behaviour of BEHAVIOURS) {
    const cells = [behaviour.name, behaviour.right]
    for (const contender of CONTENDERS) {
      const observed = behaviour.observe(await scene.run(contender, behaviour))
      cells.push(observed === behaviour.right ? observed : `**${observed}**`)
    }
    rows.push(cells.map((cell) => cell.replaceAll('\r\n', ', ').replace(/(?<!\\)\|/g, '\\|')).join(' | '))
  }
  await scene.close()
  const table = rows.map((row) => `| ${row} |\n`).join('')
  writeFileSync(FILE, readFileSync(FILE, 'utf8').replace(TABLE, () => table))
}

main()
