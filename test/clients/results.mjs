/** `npm run clients`: drives every client that is installed, and writes what works into RESULTS.md. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { arch, release, tmpdir, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const directory = fileURLToPath(new URL('.', import.meta.url))
const results = mkdtempSync(join(tmpdir(), 'fastify-prox-clients-'))
const files = ['browser', 'command-line', 'languages', 'node', 'package-managers', 'runtimes']
  .map((name) => join(directory, `${name}.test.ts`))

try {
  const env = { ...process.env, CLIENT_RESULTS: results }
  const { status } = spawnSync('tap', ['--disable-coverage', ...files], { stdio: 'inherit', env })
  process.exitCode = status
  const clients = readdirSync(results).map((name) => JSON.parse(readFileSync(join(results, name), 'utf8')))
  clients.sort((a, b) => a.name.localeCompare(b.name))
  writeFileSync(join(directory, 'RESULTS.md'), page(clients))
} finally {
  rmSync(results, { recursive: true })
}

function page (clients) {
  const rows = clients.map(({ name, version, schemes, keepAlive, tunnel }) => [
    name,
    version,
    ...['http', 'https', 'ws', 'wss'].map((scheme) => schemes.includes(scheme) ? '✓' : ''),
    keepAlive.join(', '),
    tunnel.join(', ')
  ])
  return `# Real clients

Written by \`npm run clients\`: ${clients.length} clients on ${type()} ${release()} (${arch()}) with
Node ${process.versions.node}.
Each was led here by its environment (\`fastify.proxyEnv()\`) or, where it reads none, by its own options; each has
verified the certificates against the CA, and got every answer. An empty cell: the client has no such thing, or, under
"keeps alive", opens a connection for each request.

| client | version | http | https | ws | wss | keeps alive | in tunnels |
|---|---|---|---|---|---|---|---|
${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
}
