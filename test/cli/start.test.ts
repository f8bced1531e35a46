/** `fastify-prox start`: an application that a module exports as a proxy. */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import { createServer } from 'node:http'
import t from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { connect } from '../support/raw'
import { startHost } from '../tunnel/passing'
import { until } from '../tunnel/support'
import { cli, startCli } from './cli'

const APP = "export default { 'a.test': async (app) => { app.get('/', async () => 'a') } }"

const PORT = /^Proxy: {2}https?:\/\/[^:]+:(\d+)\n/m

t.test('says where it is and what it signs with, until a signal ends it', async (t) => {
  t.testdir({ 'app.mjs': APP })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const command = startCli(t, ['start', 'app.mjs', '--port', '0'])
    const port = Number((await command.printed(PORT))[1])
    const client = await connect(t, { port, host: '127.0.0.1' })
    t.equal((await client.ask('GET', 'http://a.test/')).body, 'a')
    t.equal((await client.ask('GET', 'http://b.test/', { connection: 'close' })).status, 404)
    command.child.kill(signal)
    t.match(await command.ended, {
      code: 0,
      stdout: new RegExp([
        `^Proxy: {2}http://127.0.0.1:${port}`,
        'CA: {5}ca/fastify-prox-ca.pem \\("fastify-prox https proxy CA", SHA-256 [0-9A-F:]{95}\\)',
        `Try: {4}curl -x http://127.0.0.1:${port} --cacert ca/fastify-prox-ca.pem https://example.com/\n$`
      ].join('\n')),
      stderr: 'Requests that had no route:\n  GET http://b.test/\n'
    })
  }
  t.ok(existsSync(join(t.testdirName, 'ca/fastify-prox-ca.pem')))
})

t.test('--https, with a certificate of its own CA', async (t) => {
  t.testdir({ 'app.mjs': APP })
  const command = startCli(t, ['start', 'app.mjs', '--port', '0', '--https', '--ca', 'my ca.pem'])
  const port = Number((await command.printed(PORT))[1])
  await command.printed(
    /Try: {4}curl -x https:\/\/localhost:\d+ --proxy-cacert 'my ca.pem' --cacert 'my ca.pem' https:/
  )
  const socket = tls.connect(
    { port, host: '127.0.0.1', servername: 'localhost', ca: readFileSync(join(t.testdirName, 'my ca.pem')) }
  )
  await once(socket, 'secureConnect')
  socket.write('GET http://a.test/ HTTP/1.0\r\nHost: a.test\r\n\r\n')
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 200 /)
  socket.destroy()
  command.child.kill()
  t.equal((await command.ended).code, 0)
})

t.test('a CA that the module makes, and --quiet', async (t) => {
  t.testdir({
    'app.cjs': `
      exports.options = { ca: { store: new Map(), name: 'Mine' } }
      exports.default = async (app) => { app.get('/*', async () => 'x') }`
  })
  const command = startCli(t, ['start', 'app.cjs', '--port', '0'])
  await command.printed(/^CA: {5}\/.*ca\.pem \("Mine", /m)
  command.child.kill()
  t.equal((await command.ended).code, 0)
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const quiet = startCli(t, ['start', 'app.cjs', '--port', String(port), '--quiet'])
  await until(async () => await connect(t, { port, host: '127.0.0.1' }).then(
    ({ socket }) => socket.destroy(), () => false
  ) !== false)
  quiet.child.kill()
  t.strictSame(await quiet.ended, { code: 0, stdout: '', stderr: '' })
})

t.test('what cannot be started', async (t) => {
  t.testdir({ 'app.mjs': APP })
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as net.AddressInfo
  t.match(await cli(t, ['start', 'app.mjs', '--port', String(port)]), { code: 1, stderr: /EADDRINUSE/ })
  for (const wrong of ['x', '65536', '-1', '1.5']) {
    t.match(
      await cli(t, ['start', 'app.mjs', `--port=${wrong}`]), { code: 2, stderr: /a number from 0 to 65535/ }, wrong
    )
  }
})

t.test('--forward forwards WebSockets too', async (t) => {
  const server = createServer()
  new WebSocketServer({ server }).on(
    'connection', (socket) => socket.on('message', (data) => socket.send(`site says ${String(data)}`))
  )
  const site = await startHost(t, () => {}, server)
  t.testdir({ 'app.mjs': APP })
  const command = startCli(t, ['start', 'app.mjs', '--port', '0', '--forward', '--allow', '127.0.0.1'])
  const port = Number((await command.printed(PORT))[1])
  const socket = net.connect(port, '127.0.0.1')
  socket.write(`CONNECT 127.0.0.1:${site.port} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await once(socket, 'data')
  const client = new WebSocket(`ws://127.0.0.1:${site.port}/`, { createConnection: () => socket as never })
  await once(client, 'open')
  client.send('hello')
  t.equal(String((await once(client, 'message'))[0]), 'site says hello')
  client.terminate()
  command.child.kill()
  t.equal((await command.ended).code, 0)
})

t.test('--watch starts again when a file changes', async (t) => {
  t.testdir({ 'app.mjs': APP })
  const command = startCli(t, ['start', 'app.mjs', '--port', '0', '--watch'])
  await command.printed(PORT)
  writeFileSync(join(t.testdirName, 'app.mjs'), APP.replace('a.test', 'b.test'))
  const [, , second] = await command.printed(/Proxy: .*:(\d+)[^]*Proxy: .*:(\d+)\n/)
  const client = await connect(t, { port: Number(second), host: '127.0.0.1' })
  t.equal((await client.ask('GET', 'http://b.test/', { connection: 'close' })).body, 'a')
  command.child.kill()
  await command.ended
})
