import { once } from 'node:events'
import http from 'node:http'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { RawClient } from '../support/raw'
import { startExample } from './example'

t.test('four processes have one CA, and each resumes the sessions of the others', async (t) => {
  const { port, ca, lines, stop } = await startExample(t, 'cluster')
  t.equal(lines[0], `Proxy:  http://localhost:${port}, 4 processes`)

  let session: Buffer | undefined
  const visit = async (): Promise<{ pid: number, resumed: boolean }> => {
    const options = { host: 'localhost', port, method: 'CONNECT', path: 'example.com:443', agent: false }
    const connect = http.request(options).end()
    const [, socket] = await once(connect, 'connect') as [unknown, Socket]
    const secure = tls.connect({ socket, servername: 'example.com', ca: ca(), session })
    secure.on('session', (received: Buffer) => { session = received })
    const client = new RawClient(t, secure)
    const { body } = await client.ask('GET', '/', { host: 'example.com', connection: 'close' })
    await client.closed()
    const { url, process } = JSON.parse(body)
    t.equal(url, 'https://example.com/')
    return { pid: process, resumed: secure.isSessionReused() }
  }

  const first = await visit()
  t.notOk(first.resumed)
  const pids = new Set([first.pid])
  // Asks until every process has answered: those that are still starting get none of the first connections.
  for (let i = 0; i < 200 && pids.size < 4; i++) {
    const { pid, resumed } = await visit()
    t.ok(resumed, `resumed by ${pid}`)
    pids.add(pid)
  }
  t.equal(pids.size, 4)
  t.equal(await stop(), 0, 'all of them end')
})
