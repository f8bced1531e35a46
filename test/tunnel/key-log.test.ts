/** `keyLogFile`: the secrets of TLS in tunnels, for those who look into the traffic. */
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { create, start } from '../support/proxy'
import { echo, PROX } from './support'

t.test('a key log has the secrets of every tunnel, for its owner alone', async (t) => {
  const keyLogFile = join(t.testdir(), 'keys')
  const proxy = await start(t, { prox: { ...PROX, keyLogFile } }, echo)
  for (const options of [{}, { maxVersion: 'TLSv1.2' }] as const) {
    const client = await proxy.tls('example.com:443', options)
    t.equal((await client.ask('GET', '/')).status, 200)
  }
  await proxy.app.close()
  const text = await readFile(keyLogFile, 'utf8')
  t.match(text, /^CLIENT_HANDSHAKE_TRAFFIC_SECRET [0-9a-f]{64} [0-9a-f]{64,}$/m)
  t.match(text, /^CLIENT_TRAFFIC_SECRET_0 /m)
  t.match(text, /^CLIENT_RANDOM /m)
  t.notOk(text.includes('PRIVATE'))
  t.equal((await stat(keyLogFile)).mode & 0o777, 0o600)
  t.strictSame(proxy.log.messages('warn'), [])
})

t.test('a key log goes on with a file that is there, and warns when others may read it', async (t) => {
  const keyLogFile = join(t.testdir(), 'keys')
  await writeFile(keyLogFile, '# begun\n')
  for (const [mode, warns] of [[0o600, false], [0o640, true], [0o604, true]] as const) {
    await chmod(keyLogFile, mode)
    const proxy = await start(t, { prox: { ...PROX, keyLogFile } }, echo)
    await proxy.get('https://example.com/')
    await proxy.app.close()
    const expected = `fastify-prox: others than its owner may read the key log ${keyLogFile}: chmod 600 ${keyLogFile}`
    t.strictSame(proxy.log.messages('warn'), warns ? [expected] : [], mode.toString(8))
    t.equal((await stat(keyLogFile)).mode & 0o777, mode, 'it is not for the plugin to change')
  }
  t.match(await readFile(keyLogFile, 'utf8'), /^# begun\nSERVER_HANDSHAKE_TRAFFIC_SECRET |^# begun\nCLIENT_/)
})

t.test('a key log warns of nothing where files have no such modes', async (t) => {
  const keyLogFile = join(t.testdir({ keys: '' }), 'keys')
  await chmod(keyLogFile, 0o644)
  t.intercept(process, 'getuid', { value: undefined })
  const proxy = await start(t, { prox: { ...PROX, keyLogFile } }, echo)
  await proxy.get('https://example.com/')
  await proxy.app.close()
  t.strictSame(proxy.log.messages('warn'), [])
})

t.test('a key log that cannot be written is an error in the log, and tunnels work', async (t) => {
  const keyLogFile = join(t.testdir(), 'none', 'keys')
  const proxy = await start(t, { prox: { ...PROX, keyLogFile } }, echo)
  t.match(await proxy.log.next(/key log cannot be written/), { level: 'error', err: { code: 'ENOENT' } })
  t.equal((await proxy.get('https://example.com/')).status, 200)
})

t.test('a key log that is a PEM text is refused, and the text is told to nobody', async (t) => {
  const keyLogFile = '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n'
  const error = await create(t, { prox: { keyLogFile } }).then(() => null, (err: Error) => err)
  t.match(error, { code: 'FST_PROX_INVALID_OPTION', message: 'The option keyLogFile takes a path, got a PEM text' })
  t.notMatch(error?.stack, /c2VjcmV0/)
})
