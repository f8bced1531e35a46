import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { ProxyAgent, request } from 'undici'
import { WebSocket } from 'ws'
import { plain } from '../support/plain-child'
import { environment, examplePath, startExample } from './example'

t.test('tells of every request', async (t) => {
  const { port, lines, ca, stop } = await startExample(t, 'echo')
  t.strictSame(lines, [
    `Proxy:  http://localhost:${port}, HTTP, HTTPS and WebSocket`,
    'CA:     ca/fastify-prox-ca.pem, or http://fastify-prox/download through the proxy',
    `Try:    curl --cacert ca/fastify-prox-ca.pem -x localhost:${port} "https://example.com/path/file.html?A=B"`
  ])
  const dispatcher = new ProxyAgent({ uri: `http://localhost:${port}`, requestTls: { ca: ca() }, proxyTunnel: false })
  t.teardown(() => dispatcher.close())
  for (const url of ['http://example.com/path/file.html?A=B', 'https://example.com/path/file.html?A=B']) {
    const text = await (await request(url, { dispatcher })).body.text()
    t.strictSame(JSON.parse(text), { route: `/prefix/${url}`, method: 'GET', url, proxyHost: 'fastify-prox' })
    t.match(text, /\}\n$/, 'the prompt of a shell stands on a line of its own')
  }
  const posted = await request('https://example.com/', {
    dispatcher, method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'hello'
  })
  t.match(await posted.body.json(), { method: 'POST', body: 'hello' })
  t.match(await (await request('https://fastify-prox/path', { dispatcher })).body.json(), { route: '/path' })
  const pem = await request('http://fastify-prox/download/pem', { dispatcher })
  t.match(await pem.body.text(), /^-----BEGIN CERTIFICATE-----/)

  const agent = new HttpsProxyAgent(`http://localhost:${port}`)
  const socket = new WebSocket('wss://example.com/chat', { agent, ca: ca() })
  await once(socket, 'open')
  socket.send('hello')
  const [message] = await once(socket, 'message') as [Buffer]
  t.equal(message.toString(), 'https://example.com/chat: hello')
  socket.close()
  await once(socket, 'close')
  t.equal(await stop(), 0, 'ends by itself')
})

t.test('names another port when its own is taken', async (t) => {
  const { port } = await startExample(t, 'echo')
  const second = spawn(...plain(process.execPath, [join(examplePath('echo'), 'server.mjs')]), {
    cwd: t.testdir(), env: environment({ PORT: String(port) }), stdio: ['ignore', 'ignore', 'pipe']
  })
  const exit = once(second, 'exit')
  const [line] = await once(createInterface(second.stderr), 'line')
  t.equal(line, `Port ${port} is taken. Choose another one: PORT=${port + 1} npm start`)
  t.strictSame(await exit, [1, null])
})

t.test('ends when npm start is told to end', async (t) => {
  const root = resolve(__dirname, '../..')
  const cwd = t.testdir({
    'package.json': readFileSync(join(root, 'package.json')),
    examples: t.fixture('symlink', join(root, 'examples'))
  })
  // Without the build that comes before it.
  const npm = spawn(...plain('npm', ['start', '--ignore-scripts']), {
    cwd, env: environment({ PORT: '0' }), stdio: ['ignore', 'pipe', 'ignore']
  })
  const closed = once(npm, 'close')
  let started = false
  for await (const line of createInterface(npm.stdout)) {
    if (!line.startsWith('Try:')) continue
    started = true
    npm.kill('SIGTERM')
  }
  t.ok(started)
  // The server holds the other end of stdout until it has ended.
  await closed
})
