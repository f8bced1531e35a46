/** Keeping the authority: files, maps, many processes at once. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { FileStore, loadOrMake } from '../../plugin/ca/storage'
import type { Warning } from '../../plugin/ca/storage'
import { selfSigned } from './bundles'
import { compileRooms } from './compiled'

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('it is made on the first start and used from then on', async t => {
  const file = join(t.testdir(), 'one', 'two', 'ca.pem')
  const first = await CertificateAuthority.load({ file, name: 'Example' })
  t.equal(first.name, 'Example')
  t.equal(first.file, file)
  t.equal(mode(file), '600')
  t.equal(mode(join(file, '..')), '700')
  t.same(readdirSync(join(file, '..')), ['ca.pem'], 'nothing else stays behind')
  t.match(readFileSync(file, 'utf8'), /^-----BEGIN PRIVATE KEY-----[^]+-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----[^]+-----END CERTIFICATE-----\n$/)
  const warnings: Warning[] = []
  const second = await CertificateAuthority.load({ file, name: 'Another' }, warning => warnings.push(warning))
  t.equal(second.fingerprint256, first.fingerprint256)
  t.same(warnings, [])
})

t.test('a relative path starts from the working directory', async t => {
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
  CertificateAuthority.load({ file }).then(({ fingerprint256 }) => process.send(fingerprint256), ({ message }) => process.send(message))
})
process.send('ready')
`

t.test('8 processes that start together end with one authority', async t => {
  const directory = t.testdir({ 'child.js': CHILD })
  compileRooms(directory, join('plugin', 'ca'))
  const authority = join(directory, 'plugin', 'ca', 'authority.js')
  const file = join(directory, 'ca', 'ca.pem')
  const children = Array.from({ length: 8 }, () => fork(join(directory, 'child.js'), [authority], { execArgv: [] }))
  await Promise.all(children.map(async child => await once(child, 'message')))
  const answers = children.map(async child => {
    const [answer] = await once(child, 'message') as [string]
    child.disconnect()
    await once(child, 'exit')
    return answer
  })
  for (const child of children) child.send(file)
  const fingerprints = new Set(await Promise.all(answers))
  t.equal(fingerprints.size, 1)
  t.match([...fingerprints], [/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/])
  t.same(readdirSync(join(directory, 'ca')), ['ca.pem'])
})

t.test('loose permissions are warned about, where there is a private key', async t => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  const { fingerprint256 } = await CertificateAuthority.load({ file })
  for (const loose of [0o640, 0o604, 0o660]) {
    chmodSync(file, loose)
    const warnings: Warning[] = []
    const authority = await CertificateAuthority.load({ file }, warning => warnings.push(warning))
    t.equal(authority.fingerprint256, fingerprint256)
    t.strictSame(warnings, [{ code: 'FST_PROX_CA_PERMISSIONS', message: `Others than its owner may read the private key in ${file}: chmod 600 ${file}` }])
    t.equal(mode(file), loose.toString(8), 'it stays as it is')
  }
  const made = selfSigned()
  const key = join(directory, 'rootCA-key.pem')
  writeFileSync(key, made.key)
  writeFileSync(join(directory, 'rootCA.pem'), made.cert)
  chmodSync(key, 0o444)
  const warnings: Warning[] = []
  await CertificateAuthority.load({ file: join(directory, 'rootCA.pem') }, warning => warnings.push(warning))
  t.match(warnings, [{ message: `in ${key}:` }])
  t.equal(warnings.length, 1)
})

t.test('by default a warning is one of the process', async t => {
  const file = join(t.testdir(), 'ca.pem')
  await CertificateAuthority.load({ file })
  chmodSync(file, 0o644)
  const warned = once(process, 'warning')
  await CertificateAuthority.load({ file })
  t.match(await warned, [{ code: 'FST_PROX_CA_PERMISSIONS' }])
})

t.test('a file that cannot be read', async t => {
  const directory = t.testdir({ 'ca.pem': {}, file: 'x' })
  await t.rejects(CertificateAuthority.load({ file: join(directory, 'ca.pem') }), { code: 'FST_PROX_CA_UNREADABLE', message: /in .*ca\.pem cannot be read: EISDIR/ })
  await t.rejects(CertificateAuthority.load({ file: join(directory, 'file', 'ca.pem') }), { code: 'FST_PROX_CA_UNREADABLE', message: /ENOTDIR/ })
  t.ok(statSync(join(directory, 'ca.pem')).isDirectory())
})

t.test('a directory that cannot be written to: the error says what to do', async t => {
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
        message: /cannot be kept in .*ca\.pem: EACCES.*\. Make its directory writable, choose another place with the option ca\.file, hand in ca\.key and ca\.cert, or keep it in memory/
      })
    }
  } finally {
    if (root) process.seteuid!(0)
  }
})

t.test('a disk that fails half-way leaves nothing behind', async t => {
  const directory = t.testdir()
  const failing = async () => { throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }) }
  const fs = await import('node:fs/promises')
  const broken = {
    ...fs,
    async open (...args: Parameters<typeof fs.open>) {
      const handle = await fs.open(...args)
      handle.sync = failing
      return handle
    }
  }
  const storage = t.mockRequire<typeof import('../../plugin/ca/storage')>('../../plugin/ca/storage', { 'node:fs/promises': broken })
  const store = new storage.FileStore(join(directory, 'ca.pem'), () => {})
  await t.rejects(store.set('', 'pem'), { code: 'ENOSPC' })
  t.same(readdirSync(directory), [])
  const linkless = t.mockRequire<typeof import('../../plugin/ca/storage')>('../../plugin/ca/storage', { 'node:fs/promises': { ...fs, link: failing } })
  await t.rejects(new linkless.FileStore(join(directory, 'ca.pem'), () => {}).set('', 'pem'), { code: 'ENOSPC' })
  t.same(readdirSync(directory), [])
})

t.test('a name that is taken but leads nowhere', async t => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  symlinkSync('nowhere', file)
  await t.rejects(CertificateAuthority.load({ file }), { code: 'FST_PROX_CA_NOT_WRITABLE', message: /it does not keep what it was given/ })
})

t.test('a certificate without its key beside it', async t => {
  const directory = t.testdir()
  const { cert, key } = selfSigned()
  writeFileSync(join(directory, 'ca'), cert)
  await t.rejects(CertificateAuthority.load({ file: join(directory, 'ca') }), { code: 'FST_PROX_CA_CORRUPT', message: /no private key/ })
  writeFileSync(join(directory, 'ca-key'), key, { mode: 0o600 })
  t.equal((await CertificateAuthority.load({ file: join(directory, 'ca') })).certificatePem, cert)
})

t.test('a bundle is replaced in one step', async t => {
  const file = join(t.testdir(), 'ca.pem')
  const store = new FileStore(file, t.fail)
  t.equal(await store.get(), undefined)
  await store.replace('one')
  await store.set('', 'two')
  t.equal(await store.get(), 'one')
  await store.replace('three')
  t.equal(await store.get(), 'three')
  t.equal(mode(file), '600')
  t.same(readdirSync(join(file, '..')), ['ca.pem'])
})

t.test('a Map keeps it in memory', async t => {
  const store = new Map<string, string>()
  const first = await CertificateAuthority.load({ store, keyType: 'rsa', name: 'In memory' })
  const second = await CertificateAuthority.load({ store })
  t.equal(first.fingerprint256, second.fingerprint256)
  t.equal(first.file, null)
  t.same([...store.keys()], ['fastify-prox-ca'])
  t.not(first.fingerprint256, (await CertificateAuthority.load({ store: new Map() })).fingerprint256)
})

t.test('a store that answers later, and that others use as well: the first one wins', async t => {
  const kept = new Map<string, string>()
  const store = {
    get: async (key: string) => kept.get(key) ?? null,
    set: async (key: string, pem: string) => { if (!kept.has(key)) kept.set(key, pem) }
  }
  const authorities = await Promise.all(Array.from({ length: 4 }, async () => await CertificateAuthority.load({ store })))
  t.equal(new Set(authorities.map(authority => authority.fingerprint256)).size, 1)
})

t.test('a store that fails', async t => {
  const failing = () => { throw new Error('connection refused') }
  await t.rejects(CertificateAuthority.load({ store: { get: failing, set: failing } }), { code: 'FST_PROX_CA_UNREADABLE', message: 'The certificate authority in the store cannot be read: connection refused' })
  await t.rejects(CertificateAuthority.load({ store: { get: () => null, set: failing } }), { code: 'FST_PROX_CA_NOT_WRITABLE', message: /in the store: connection refused/ })
  await t.rejects(CertificateAuthority.load({ store: { get: () => undefined, set: () => {} } }), { code: 'FST_PROX_CA_NOT_WRITABLE', message: /does not keep/ })
  await t.rejects(CertificateAuthority.load({ store: new Map([['fastify-prox-ca', 'x']]) }), { code: 'FST_PROX_CA_CORRUPT', message: /in the store/ })
  await t.rejects(loadOrMake(new Map(), 'the store', async () => await Promise.reject(new Error('no entropy'))), { code: 'FST_PROX_CA_NOT_WRITABLE', message: /no entropy/ })
})

t.test('a directory that is there already keeps its mode', async t => {
  const directory = join(t.testdir(), 'ca')
  mkdirSync(directory)
  chmodSync(directory, 0o755)
  await CertificateAuthority.load({ file: join(directory, 'ca.pem') })
  t.equal(mode(directory), '755')
  t.equal(mode(join(directory, 'ca.pem')), '600')
})
