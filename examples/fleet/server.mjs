/**
 * A fleet on one machine: HAProxy in front of several processes, with the CA in Redis. SIGHUP restarts the processes
 * one by one, SIGTERM and SIGINT end everything. Uses the programs haproxy and redis-server.
 */
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { configuration } from './haproxy.mjs'

const { PORT = '8080', PROCESSES = '4' } = process.env
const PROGRAM = fileURLToPath(new URL('process.mjs', import.meta.url))

const directory = mkdtempSync(join(tmpdir(), 'fleet-'))
const programs = []
const members = []
let stopping = false

/** Starts a program that runs until the fleet ends; without it there is none. */
function start (command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  child.on('error', (err) => {
    console.error(`${command} cannot be started: ${err.message}`)
    stop(1)
  })
  child.on('exit', (code) => { if (!stopping) stop(code ?? 1) })
  programs.push(child)
}

async function startRedis () {
  const socket = join(directory, 'redis.sock')
  start('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', directory, '--save', ''])
  process.env.REDIS_URL = socket
  await reachable({ path: socket })
}

/** Resolves when somebody listens there. */
async function reachable (address) {
  const socket = connect(address)
  const connected = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  if (connected || stopping) return
  await pause(20)
  await reachable(address)
}

/** Starts a process in a place of the fleet, whose port stays the same; one that fails is replaced. */
async function startMember (place) {
  const port = members[place]?.port ?? 0
  const child = fork(PROGRAM, { env: { ...process.env, PORT: String(port) } })
  members[place] = { child, port, replaced: false }
  child.on('exit', async () => {
    if (stopping || members[place].replaced || members[place].child !== child) return
    // One that never came so far as to listen would only end again.
    await (members[place].port === 0 ? stop(1) : startMember(place))
  })
  const [told] = await once(child, 'message')
  members[place].port = told
}

/** Restarts one process after the other: HAProxy leads new connections to the others meanwhile. */
async function restart () {
  for (const [place, member] of members.entries()) {
    member.replaced = true
    member.child.kill('SIGTERM')
    await once(member.child, 'exit')
    await startMember(place)
  }
  console.log(`Restarted: ${members.length} processes`)
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

async function stop (code) {
  if (stopping) return
  stopping = true
  const running = members.map(({ child }) => child).filter((child) => (child.exitCode ?? child.signalCode) === null)
  const ended = running.map((child) => once(child, 'exit'))
  for (const child of running) child.kill('SIGTERM')
  await Promise.all(ended)
  for (const program of programs) program.kill()
  rmSync(directory, { recursive: true, force: true })
  process.exit(code)
}

for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(0))
process.on('SIGHUP', restart)
process.on('exit', () => { for (const program of programs) program.kill() })

if (process.env.REDIS_URL === undefined) await startRedis()
await Promise.all(Array.from({ length: Number(PROCESSES) }, (_, place) => startMember(place)))
const port = Number(PORT) || await freePort()
const file = join(directory, 'haproxy.cfg')
writeFileSync(file, configuration(port, members.map((member) => member.port)))
start('haproxy', ['-db', '-f', file])
await reachable({ port, host: '127.0.0.1' })

if (!stopping) {
  console.log(`Proxy:  http://localhost:${port}, ${PROCESSES} processes`)
  console.log(`CA:     curl -x localhost:${port} http://fastify-prox/download/pem > ca.pem`)
  console.log(`Try:    curl --cacert ca.pem -x localhost:${port} https://example.com/`)
}
