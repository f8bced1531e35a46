/** `fastify-prox start` as a process of its own: an application that a module exports as a proxy. */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import { connect } from '../support/raw'
import { until } from '../tunnel/support'
import { startCli } from './cli'

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
