/** A real Redis server on a unix socket, for the tests of shared stores. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import type { Test } from 'tap'

/** Starts the server, which keeps nothing on disk, and answers the path of its socket. */
export async function startRedis (t: Test): Promise<string> {
  // The path of a socket holds about 100 characters: too few for the test's own directory.
  const directory = mkdtempSync(join(tmpdir(), 'redis-'))
  const socket = join(directory, 'redis.sock')
  const server = spawn('redis-server', [
    '--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--dir', directory
  ], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(async () => {
    server.kill()
    await once(server, 'close')
    rmSync(directory, { recursive: true })
  })
  const lines: string[] = []
  for await (const line of createInterface(server.stdout)) {
    if (/ready to accept connections/i.test(line)) {
      server.stdout.resume()
      return socket
    }
    lines.push(line)
  }
  throw new Error(`redis-server has ended: ${lines.join('\n')}`)
}
