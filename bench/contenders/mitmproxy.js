/**
 * mitmproxy (mitmdump, Debian's package) with canned answers. It is a program of its own, whose CPU time the system
 * tells.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { cpuOf } from '../cpu.js'
import { BODY, CONTENT_TYPE } from '../payload.js'

const ADDON = `
from mitmproxy import http

def request(flow):
    flow.response = http.Response.make(200, ${JSON.stringify(BODY)}, {"content-type": ${JSON.stringify(CONTENT_TYPE)}})
`

export async function start ({ http2 }) {
  const directory = mkdtempSync(join(tmpdir(), 'mitmproxy-'))
  const script = join(directory, 'answer.py')
  writeFileSync(script, ADDON)
  const port = await freePort()
  const set = ['connection_strategy=lazy', 'upstream_cert=false', `http2=${http2 === true}`, `confdir=${directory}`]
  const args = ['--quiet', '--listen-host', '127.0.0.1', '--listen-port', String(port), '--scripts', script]
  const child = spawn('mitmdump', [...args, ...set.flatMap((option) => ['--set', option])], { stdio: 'ignore' })
  process.on('exit', () => child.kill('SIGKILL'))
  const file = join(directory, 'mitmproxy-ca-cert.pem')
  for (;;) {
    if (child.exitCode !== null) throw new Error(`mitmdump ended with ${child.exitCode}`)
    await setTimeout(100)
    try {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.destroy()
      return { port, ca: readFileSync(file, 'utf8'), proxy: true, directory, cpu: () => cpuOf(child.pid) }
    } catch (err) {
      if (err.code !== 'ENOENT' && err.code !== 'ECONNREFUSED') throw err
    }
  }
}

/** mitmdump does not tell which port it got. */
async function freePort () {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}
