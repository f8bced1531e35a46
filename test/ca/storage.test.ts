/** Keeping the authority: files, maps, many processes at once. */
import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import type * as files from '../../plugin/ca/files'
import { FileStore, loadOrMake } from '../../plugin/ca/storage'
import type * as storage from '../../plugin/ca/storage'
import type { CertificateAuthorityWarning as Warning, CertificateStore } from '../../types/ca'
import { selfSigned } from './bundles'
import { compileTo } from '../support/compiled'

/** Only root can give files to others. */
const NOT_ROOT = process.getuid!() !== 0 && 'only root can give files away'

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('it is made on the first start and used from then on', async (t) => {
  const file = join(t.testdir(), 'one', 'two', 'ca.pem')
  const first = await CertificateAuthority.load({ file, name: 'Example' })
  t.equal(first.name, 'Example')
  t.equal(first.file, file)
  t.equal(mode(file), '600')
  t.equal(mode(join(file, '..')), '700')
  t.same(readdirSync(join(file, '..')).sort(), ['.gitignore', 'ca.pem'], 'nothing else stays behind')
  t.equal(readFileSync(join(file, '..', '.gitignore'), 'utf8'), '*\n', 'git does not see the private key')
  t.same(readdirSync(join(file, '..', '..')), ['two'], 'the directories above it are left alone')
  t.match(
    readFileSync(file, 'utf8'),
    /^-----BEGIN PRIVATE KEY-----[^]+-----END PRIVATE KEY-----\n-----BEGIN CERT[^]+-----END CERTIFICATE-----\n$/
  )
  const warnings: Warning[] = []
  const second = await CertificateAuthority.load({ file, name: 'Another' }, (warning) => warnings.push(warning))
  t.equal(second.fingerprint256, first.fingerprint256)
  t.same(warnings, [])
})

t.test('a relative path starts from the working directory', async (t) => {
  const directory = t.testdir()
  const back = process.cwd()
  t.teardown(() => process.chdir(back))
  process.chdir(directory)
  const authority = await CertificateAuthority.load()
  process.chdir(back)
  t.equal(authority.file, join(directory, 'ca', 'fastify-prox-ca.pem'))
  t.ok(statSync(authority.file!).isFile())
})

/** Says that it is there, waits until all are, loads the authority and says which one it got. */
const CHILD = `
const { CertificateAuthority } = require(process.argv[2])
process.once('message', file => {
  CertificateAuthority.load({ file })
    .then(({ fingerprint256 }) => process.send(fingerprint256), ({ message }) => process.send(message))
})
process.send('ready')
`

t.test('8 processes that start together end with one authority', async (t) => {
  const directory = t.testdir({ 'child.js': CHILD })
  compileTo(directory)
  const authority = join(directory, 'plugin', 'ca', 'authority.js')
  const file = join(directory, 'ca', 'ca.pem')
  const children = Array.from({ length: 8 }, () => fork(join(directory, 'child.js'), [authority], { execArgv: [] }))
  await Promise.all(children.map(async (child) => await once(child, 'message')))
  const answers = children.map(async (child) => {
    const [answer] = await once(child, 'message') as [string]
    child.disconnect()
    await once(child, 'exit')
    return answer
  })
  for (const child of children) child.send(file)
  const fingerprints = new Set(await Promise.all(answers))
  t.equal(fingerprints.size, 1)
  t.match([...fingerprints], [/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/])
  t.same(readdirSync(join(directory, 'ca')).sort(), ['.gitignore', 'ca.pem'])
})

t.test('loose permissions are warned about, where there is a private key', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  const { fingerprint256 } = await CertificateAuthority.load({ file })
  for (const loose of [0o640, 0o604, 0o660]) {
    chmodSync(file, loose)
    const warnings: Warning[] = []
    const authority = await CertificateAuthority.load({ file }, (warning) => warnings.push(warning))
    t.equal(authority.fingerprint256, fingerprint256)
    t.strictSame(warnings, [{
      code: 'FST_PROX_CA_PERMISSIONS',
      message: `Others than its owner may read the private key in ${file}: chmod 600 ${file}`
    }])
    t.equal(mode(file), loose.toString(8), 'it stays as it is')
  }
  const made = selfSigned()
  const key = join(directory, 'rootCA-key.pem')
  writeFileSync(key, made.key)
  writeFileSync(join(directory, 'rootCA.pem'), made.cert)
  chmodSync(key, 0o444)
  const warnings: Warning[] = []
  await CertificateAuthority.load({ file: join(directory, 'rootCA.pem') }, (warning) => warnings.push(warning))
  t.match(warnings, [{ message: `in ${key}:` }])
  t.equal(warnings.length, 1)
})

t.test('a file or a directory that another user has a hand in is warned about', { skip: NOT_ROOT }, async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  await CertificateAuthority.load({ file })
  const warningsOf = async (): Promise<string[]> => {
    const messages: string[] = []
    await CertificateAuthority.load({ file }, ({ code, message }) => messages.push(`${code}: ${message}`))
    return messages
  }
  t.same(await warningsOf(), [])
  chownSync(file, 1234, 0)
  t.same(await warningsOf(), [
    `FST_PROX_CA_PERMISSIONS: Another user, 1234, owns the private key in ${file}: chown 0 ${file}`
  ])
  chownSync(file, 0, 0)
  chownSync(directory, 1234, 0)
  t.same(await warningsOf(), [
    `FST_PROX_CA_PERMISSIONS: Another user, 1234, may replace the private key in ${file}: chown 0 ${directory}`
  ])
  chownSync(directory, 0, 0)
  for (const mode of [0o770, 0o707]) {
    chmodSync(directory, mode)
    t.same(await warningsOf(), [
      `FST_PROX_CA_PERMISSIONS: Others may replace the private key in ${file}: chmod go-w ${directory}`
    ])
  }
  chmodSync(directory, 0o1777)
  t.same(await warningsOf(), [], 'in a sticky directory only the owner may')
})

t.test('a file of root is as good as one of the user', { skip: NOT_ROOT }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  const file = join(directory, 'ca.pem')
  await CertificateAuthority.load({ file })
  t.intercept(process, 'getuid', { value: () => 1234, configurable: true })
  await CertificateAuthority.load({ file }, t.fail)
})

t.test('by default a warning is one of the process', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  await CertificateAuthority.load({ file })
  chmodSync(file, 0o644)
  const warned = once(process, 'warning')
  await CertificateAuthority.load({ file })
  t.match(await warned, [{ code: 'FST_PROX_CA_PERMISSIONS' }])
})

t.test('a file that cannot be read stops the start, and stays as it is', async (t) => {
  const directory = t.testdir({ 'ca.pem': {}, file: 'x' })
  await t.rejects(
    CertificateAuthority.load({ file: join(directory, 'ca.pem') }),
    { code: 'FST_PROX_CA_UNREADABLE', message: /in .*ca\.pem cannot be read: it is a directory \(EISDIR\)$/ }
  )
  await t.rejects(
    CertificateAuthority.load({ file: join(directory, 'file', 'ca.pem') }),
    { code: 'FST_PROX_CA_UNREADABLE', message: /: a part of its path is not a directory \(ENOTDIR\)$/ }
  )
  t.ok(statSync(join(directory, 'ca.pem')).isDirectory())
})

t.test('a directory that cannot be written to: the error says what to do', async (t) => {
  // Not in the test's own directory, which may be below one that root alone may enter.
  const directory = mkdtempSync(join(tmpdir(), 'fastify-prox-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  chmodSync(directory, 0o555)
  // Permissions do not hold root back.
  const root = process.getuid!() === 0
  if (root) process.seteuid!(65534)
  try {
    for (const file of [join(directory, 'ca.pem'), join(directory, 'ca', 'ca.pem')]) {
      await t.rejects(CertificateAuthority.load({ file }), {
        code: 'FST_PROX_CA_NOT_WRITABLE',
        message: `cannot be kept in ${file}: permission is denied (EACCES). Make its directory writable, choose ` +
          'another place with the option ca.file, hand in ca.key and ca.cert, or keep it in memory'
      })
    }
  } finally {
    if (root) process.seteuid!(0)
  }
})

t.test('a disk that fails half-way leaves nothing behind', async (t) => {
  const failing = async () => { throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }) }
  const fs = await import('node:fs/promises')
  const broken = {
    ...fs,
    async open (...args: Parameters<typeof fs.open>) {
      const handle = await fs.open(...args)
      handle.sync = failing
      return handle
    }
  }
  for (const [what, mock] of Object.entries({ sync: broken, link: { ...fs, link: failing } })) {
    const directory = t.testdir()
    const mocked = t.mockRequire<typeof files>('../../plugin/ca/files', { 'node:fs/promises': mock })
    const { FileStore } = t.mockRequire<typeof storage>('../../plugin/ca/storage', { '../../plugin/ca/files': mocked })
    const store = new FileStore(join(directory, 'ca.pem'), () => {})
    await t.rejects(store.add('', 'pem'), { message: 'the disk is full (ENOSPC)' }, what)
    t.same(readdirSync(directory), [])
  }
})

t.test('a name that is taken but leads nowhere is refused', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  symlinkSync('nowhere', file)
  await t.rejects(
    CertificateAuthority.load({ file }),
    { code: 'FST_PROX_CA_NOT_WRITABLE', message: /it does not keep what it was given/ }
  )
})

t.test('a certificate needs its key beside it', async (t) => {
  const directory = t.testdir()
  const { cert, key } = selfSigned()
  writeFileSync(join(directory, 'ca'), cert)
  await t.rejects(
    CertificateAuthority.load({ file: join(directory, 'ca') }),
    { code: 'FST_PROX_CA_CORRUPT', message: /no private key/ }
  )
  writeFileSync(join(directory, 'ca-key'), key, { mode: 0o600 })
  t.equal((await CertificateAuthority.load({ file: join(directory, 'ca') })).certificatePem, cert)
})

t.test('a bundle is replaced in one step', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  const store = new FileStore(file, t.fail)
  t.equal(await store.get(), undefined)
  await store.set('', 'one')
  t.equal(await store.add('', 'two'), false)
  t.equal(await store.get(), 'one')
  await store.set('', 'three')
  t.equal(await store.get(), 'three')
  t.equal(mode(file), '600')
  t.same(readdirSync(join(file, '..')), ['ca.pem'], 'the directory was there, so it gets no .gitignore')
})

t.test('a Map keeps it in memory', async (t) => {
  const store = new Map<string, string>()
  const first = await CertificateAuthority.load({ store, keyType: 'rsa', name: 'In memory' })
  const second = await CertificateAuthority.load({ store })
  t.equal(first.fingerprint256, second.fingerprint256)
  t.equal(first.file, null)
  t.same([...store.keys()], ['fastify-prox-ca'])
  t.not(first.fingerprint256, (await CertificateAuthority.load({ store: new Map() })).fingerprint256)
})

t.test('of loads that start together with one Map, the first one wins', async (t) => {
  const store = new Map<string, string>()
  const authorities = await Promise.all([1, 2, 3].map(() => CertificateAuthority.load({ store })))
  t.equal(new Set(authorities.map(({ fingerprint256 }) => fingerprint256)).size, 1)
})

t.test('a store with add: the first one wins, without a warning', async (t) => {
  const kept = new Map<string, Buffer>()
  const store = {
    get: async (key: string) => kept.get(key) ?? null,
    add: async (key: string, pem: string) => { if (!kept.has(key)) kept.set(key, Buffer.from(pem)) },
    set: () => t.fail()
  }
  const authorities = await Promise.all([1, 2, 3, 4].map(() => CertificateAuthority.load({ store }, t.fail)))
  t.equal(new Set(authorities.map(({ fingerprint256 }) => fingerprint256)).size, 1, 'and it answers a Buffer')
})

t.test('a store with set alone: a warning, and the last one wins', async (t) => {
  const kept = new Map<string, string>()
  const store = {
    get: async (key: string) => kept.get(key),
    set: async (key: string, pem: string) => { kept.set(key, pem) }
  }
  const warnings: Warning[] = []
  const load = () => CertificateAuthority.load({ store }, (warning) => warnings.push(warning))
  const authorities = await Promise.all([1, 2, 3, 4].map(load))
  const used = new Set(authorities.map(({ fingerprint256 }) => fingerprint256))
  t.equal(used.size, 1)
  t.strictSame(warnings.map(({ code }) => code), Array(4).fill('FST_PROX_CA_STORE_WITHOUT_ADD'), 'one for each load')
  t.match(warnings[0]!.message, /has no method add\(key, pem\)/)
  warnings.length = 0
  t.ok(used.has((await load()).fingerprint256))
  t.same(warnings, [], 'an authority that is there is used without a warning')
})

t.test('a store with set alone: one that was kept while the key was made is not replaced', async (t) => {
  const { cert, key } = selfSigned()
  let reads = 0
  const store = { get: () => reads++ === 0 ? null : key + cert, set: () => t.fail('it was replaced') }
  const authority = await CertificateAuthority.load({ store }, () => {})
  t.equal(authority.certificatePem, cert)
})

t.test('a store that fails', async (t) => {
  const refused = new Error('connection refused')
  const failing = () => { throw refused }
  /* eslint-disable prefer-promise-reject-errors -- stores of others reject with what they like */
  const text = () => Promise.reject('a reason')
  const silent = () => Promise.reject()
  /* eslint-enable prefer-promise-reject-errors */
  const load = (store: object) => CertificateAuthority.load({ store: store as CertificateStore }, () => {})
  const failures: Array<[object, string, RegExp]> = [
    [
      { get: failing, set: failing }, 'UNREADABLE',
      /^The certificate authority in the store cannot be read: connection refused$/
    ],
    [{ get: silent, set: failing }, 'UNREADABLE', /cannot be read: it failed with undefined$/],
    [{ get: () => 5, set: failing }, 'UNREADABLE', /cannot be read: the store answered 5 in place of a PEM text$/],
    [{ get: () => null, set: failing }, 'NOT_WRITABLE', /in the store: connection refused/],
    [{ get: () => null, set: silent }, 'NOT_WRITABLE', /in the store: it failed with undefined/],
    [{ get: () => null, add: silent }, 'NOT_WRITABLE', /in the store: it failed with undefined/],
    [{ get: () => null, add: text }, 'NOT_WRITABLE', /it failed with 'a reason'/],
    [{ get: () => undefined, add () {} }, 'NOT_WRITABLE', /does not keep/],
    [new Map([['fastify-prox-ca', 'x']]), 'CORRUPT', /in the store/],
    [{ get: () => Buffer.from('x'), add () {} }, 'CORRUPT', /in the store/]
  ]
  for (const [store, code, message] of failures) {
    await t.rejects(load(store), { code: `FST_PROX_CA_${code}`, message })
  }
  const noEntropy = async () => await Promise.reject(new Error('no entropy'))
  await t.rejects(loadOrMake(new Map(), 'the store', noEntropy, t.fail), {
    code: 'FST_PROX_CA_NOT_WRITABLE', message: /no entropy/
  })
})

t.test('what a store that fails was given is not in the error', async (t) => {
  const given: string[] = []
  const store = {
    get: () => null,
    add (_key: string, pem: string) {
      given.push(...pem.split('\n').filter((line) => !line.startsWith('-----') && line !== ''))
      throw pem
    }
  }
  const err = await CertificateAuthority.load({ store }).catch((err: Error) => err) as Error
  t.match(err, { code: 'FST_PROX_CA_NOT_WRITABLE', message: /it failed with a PEM text/ })
  for (const line of given) t.notMatch(inspect(err, { showHidden: true, depth: null }), line)
})

t.test('a FIFO or a device is refused, and nobody waits for a writer', async (t) => {
  const directory = t.testdir()
  const fifo = join(directory, 'ca.pem')
  execFileSync('mkfifo', [fifo])
  for (const file of [fifo, '/dev/zero']) {
    await t.rejects(CertificateAuthority.load({ file }), {
      code: 'FST_PROX_CA_UNREADABLE', message: /cannot be read: it is not a regular file$/
    })
  }
})

t.test('below a directory that takes no entries the error comes at once', {
  skip: !existsSync('/proc') && 'there is no /proc'
}, async (t) => {
  for (const file of ['/proc/ca.pem', '/proc/one/ca.pem', '/proc/one/two/ca.pem']) {
    await t.rejects(CertificateAuthority.load({ file }), {
      code: 'FST_PROX_CA_NOT_WRITABLE', message: /there is no such directory \(ENOENT\)/
    })
  }
})

t.test('a directory that is there already keeps its mode', async (t) => {
  const directory = join(t.testdir(), 'ca')
  mkdirSync(directory)
  chmodSync(directory, 0o755)
  await CertificateAuthority.load({ file: join(directory, 'ca.pem') })
  t.equal(mode(directory), '755')
  t.equal(mode(join(directory, 'ca.pem')), '600')
})
