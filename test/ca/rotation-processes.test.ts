/** Processes that share a store change to a new CA without a restart. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import Redis from 'ioredis'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { compileTo } from '../support/compiled'
import { have } from './clients'
import { handshake } from './loopback'
import { startRedis } from './redis'

const PROCESSES = 3
const HOST = 'www.example.com'

/** Serves TLS with the authority of a Redis, and tells its port, and each change that it sees. */
const CHILD = `
const { createServer } = require('node:tls')
const { subscribe } = require('node:diagnostics_channel')
const { Redis } = require('ioredis')
const { CertificateAuthority } = require('./plugin/ca/authority.js')
const redis = new Redis({ path: process.argv[2] })
const store = { get: (key) => redis.get(key), add: (key, pem) => redis.set(key, pem, 'NX') }
subscribe('fastify-prox:ca:changed', ({ fingerprint256 }) => process.send(fingerprint256))
CertificateAuthority.load({ store, refresh: 20 }, () => {}).then(async (ca) => {
  const SNICallback = (name, done) => { ca.secureContext(name).then((it) => done(null, it), done) }
  const server = createServer({ SNICallback }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n'))
  })
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
})
process.on('disconnect', () => process.exit())
`

t.test('announced, switched, dropped', { skip: have('redis-server') }, async (t) => {
  const path = await startRedis(t)
  const directory = t.testdir({ 'child.js': CHILD })
  compileTo(directory)
  const redis = new Redis({ path })
  t.teardown(() => redis.disconnect())
  const store = {
    get: async (key: string) => await redis.get(key),
    add: async (key: string, pem: string) => await redis.set(key, pem, 'NX'),
    set: async (key: string, pem: string) => await redis.set(key, pem)
  }
  const children = Array.from({ length: PROCESSES }, () => fork(join(directory, 'child.js'), [path], { execArgv: [] }))
  t.teardown(async () => {
    for (const child of children) child.disconnect()
    await Promise.all(children.map(async (child) => await once(child, 'exit')))
  })
  const told = async (): Promise<unknown[]> => {
    return await Promise.all(children.map(async (child: ChildProcess) => (await once(child, 'message'))[0]))
  }
  const ports = await told() as number[]
  const ca = await CertificateAuthority.load({ store, refresh: 0 }, () => {})
  const { fingerprint256: old, certificatePem: uninformed } = ca

  const visitAll = async (trusted: string): Promise<void> => {
    const client = { servername: HOST, ca: trusted }
    for (const port of ports) t.ok((await handshake(port, client)).certificate)
  }
  const step = async (name: 'announce' | 'switch' | 'drop', signs: () => string): Promise<void> => {
    const seen = told()
    await CertificateAuthority.rotate({ store }, name)
    await ca.refresh()
    t.strictSame(new Set(await seen), new Set([signs()]), `${name}: every process has seen it`)
  }

  await visitAll(uninformed)
  await step('announce', () => old)
  await visitAll(uninformed)
  const [, next] = ca.certificates
  await step('switch', () => next!.fingerprint256)
  await visitAll(next!.pem)
  await t.rejects(visitAll(uninformed))
  await step('drop', () => next!.fingerprint256)
  await visitAll(ca.trustedPem)
  t.equal(await redis.dbsize(), 1)
})
