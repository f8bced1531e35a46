/** Processes that start together on one Redis end with one certificate authority. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import Redis from 'ioredis'
import t from 'tap'
import { have } from './clients'
import { compileTo } from '../support/compiled'
import { startRedis } from './redis'

const ROUNDS = 8
const PROCESSES = 4

/** Connects, says that it is ready, and for each message loads the authority from a Redis key and says which it got. */
const CHILD = `
const { Redis } = require('ioredis')
const { CertificateAuthority } = require('./plugin/ca/authority.js')
const redis = new Redis({ path: process.argv[2] })
const store = (prefix) => ({
  get: (key) => redis.get(prefix + key),
  add: (key, pem) => redis.set(prefix + key, pem, 'NX')
})
process.on('message', async (prefix) => {
  const warnings = []
  try {
    const options = { store: store(prefix), keyType: prefix.startsWith('rsa') ? 'rsa' : 'ec' }
    const { fingerprint256 } = await CertificateAuthority.load(options, ({ code }) => warnings.push(code))
    process.send({ fingerprint256, warnings })
  } catch ({ message }) {
    process.send({ fingerprint256: message, warnings })
  }
})
process.on('disconnect', () => redis.disconnect())
redis.ping().then(() => process.send('ready'))
`

interface Answer {
  readonly fingerprint256: string
  readonly warnings: string[]
}

async function ask (child: ChildProcess, prefix: string): Promise<Answer> {
  const answered = once(child, 'message')
  child.send(prefix)
  const [answer] = await answered as [Answer]
  return answer
}

t.test(`${ROUNDS} rounds of ${PROCESSES} processes`, { skip: have('redis-server') }, async (t) => {
  const path = await startRedis(t)
  const directory = t.testdir({ 'child.js': CHILD })
  compileTo(directory)
  const redis = new Redis({ path })
  t.teardown(() => redis.disconnect())
  const children = Array.from({ length: PROCESSES }, () => {
    return fork(join(directory, 'child.js'), [path], { execArgv: [] })
  })
  await Promise.all(children.map(async (child) => await once(child, 'message')))
  for (let round = 0; round < ROUNDS; round++) {
    const prefix = `${round % 2 === 0 ? 'ec' : 'rsa'}-${round}:`
    const answers = await Promise.all(children.map((child) => ask(child, prefix)))
    const fingerprints = new Set(answers.map(({ fingerprint256 }) => fingerprint256))
    t.match([...fingerprints], [/^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/], prefix)
    t.equal(fingerprints.size, 1, `${prefix} one authority`)
    t.same(answers.flatMap(({ warnings }) => warnings), [])
  }
  t.equal(await redis.dbsize(), ROUNDS)
  for (const child of children) child.disconnect()
  await Promise.all(children.map(async (child) => await once(child, 'exit')))
})
