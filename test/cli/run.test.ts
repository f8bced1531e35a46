/** The command `fastify-prox`, its arguments and what it says. */
import { X509Certificate, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../cli/run'
import { rdn, selfSigned } from '../ca/bundles'

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function command (...args: string[]): Promise<Outcome> {
  const written = { stdout: '', stderr: '' }
  const code = await run(args, {
    stdout: { write: (chunk) => { written.stdout += Buffer.from(chunk).toString('latin1') } },
    stderr: { write: (chunk) => { written.stderr += chunk } }
  })
  return { code, ...written }
}

// Whatever the one of the shell is.
process.umask(0o022)

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('help and version', async (t) => {
  const { version } = JSON.parse(readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')) as { version: string }
  t.strictSame(await command('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  t.match(await command('--help'), { code: 0, stdout: /Usage: fastify-prox .*Commands:\n {2}ca .*Exit codes: 0 done, 1 failed, 2 wrong arguments/s, stderr: '' })
  t.match(await command('ca', '--help'), { code: 0, stdout: /create .*show .*export .*issue \[options\] <host>/s, stderr: '' })
  for (const name of ['create', 'show', 'export', 'issue']) {
    t.match(await command('ca', name, '--help'), { code: 0, stdout: /--file <path>/, stderr: '' }, name)
  }
})

t.test('wrong arguments', async (t) => {
  const wrong: Array<[string[], RegExp]> = [
    [[], /Usage: fastify-prox/],
    [['ca'], /Usage: fastify-prox ca/],
    [['nothing'], /unknown command 'nothing'/],
    [['ca', 'nothing'], /unknown command 'nothing'/],
    [['--nothing'], /unknown option '--nothing'/],
    [['ca', 'show', '--nothing'], /unknown option '--nothing'/],
    [['ca', 'show', '--file'], /argument missing/],
    [['ca', 'create', '--key-type', 'dsa'], /Allowed choices are ec, rsa/],
    [['ca', 'export', '--format', 'jks'], /Allowed choices are pem, der, p12/],
    [['ca', 'issue'], /missing required argument 'host'/],
    [['ca', 'issue', 'one.test', 'two.test'], /too many arguments/]
  ]
  for (const [args, stderr] of wrong) t.match(await command(...args), { code: 2, stdout: '', stderr }, args.join(' '))
})

t.test('create makes an authority, and replaces one only when told so', async (t) => {
  const file = join(t.testdir(), 'ca', 'ca.pem')
  const made = await command('ca', 'create', '--file', file, '--name', 'Example')
  t.match(made, { code: 0, stderr: '' })
  const certificate = new X509Certificate(readFileSync(file))
  t.equal(made.stdout, [
    'name       Example',
    `file       ${file}`,
    'key        P-256',
    `notBefore  ${new Date(certificate.validFrom).toISOString()}`,
    `notAfter   ${new Date(certificate.validTo).toISOString()}`,
    `sha256     ${certificate.fingerprint256}`
  ].join('\n') + '\n')
  t.equal(mode(file), '600')
  const before = readFileSync(file)
  t.strictSame(await command('ca', 'create', '--file', file), { code: 1, stdout: '', stderr: `fastify-prox: ${file} is there already; --force replaces it\n` })
  t.same(readFileSync(file), before)
  t.match(await command('ca', 'create', '--file', file, '--force', '--key-type', 'rsa', '--permit', '.test', '10.0.0.0/8'), {
    code: 0, stdout: /^name {7}fastify-prox https proxy CA\n.*\nkey {8}RSA, 2048 bits\n/, stderr: ''
  })
  t.notSame(readFileSync(file), before)
  t.match(await command('ca', 'issue', 'www.example.com', '--file', file), { code: 1, stdout: '', stderr: /do not permit a certificate for www\.example\.com/ })
  t.match(await command('ca', 'issue', 'www.a.test', '--file', file), { code: 0, stderr: '' })
})

t.test('create refuses what the option would', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  t.match(await command('ca', 'create', '--file', file, '--name', 'x'.repeat(65)), { code: 1, stderr: /^fastify-prox: The option ca\.name takes a string of 1 to 64 characters/ })
  t.match(await command('ca', 'create', '--file', file, '--permit', 'a b'), { code: 1, stderr: /ca\.permit/ })
  t.notOk(existsSync(file))
})

t.test('show tells what is there', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  t.strictSame(await command('ca', 'show', '--file', file), { code: 1, stdout: '', stderr: `fastify-prox: there is no certificate authority in ${file}; "fastify-prox ca create" makes one\n` })
  t.notOk(existsSync(file), 'and does not make it')
  const { key, cert } = selfSigned({ key: generateKeyPairSync('ed25519').privateKey, subject: [rdn('CN', 'Mine')] })
  writeFileSync(file, key + cert)
  chmodSync(file, 0o644)
  const certificate = new X509Certificate(cert)
  const shown = await command('ca', 'show', '--file', file, '--json')
  t.strictSame(JSON.parse(shown.stdout), {
    name: 'Mine',
    file,
    key: 'Ed25519',
    notBefore: new Date(certificate.validFrom).toISOString(),
    notAfter: new Date(certificate.validTo).toISOString(),
    sha256: certificate.fingerprint256
  })
  t.equal(shown.stderr, `fastify-prox: Others than its owner may read the private key in ${file}: chmod 600 ${file}\n`)
  t.equal(shown.code, 0)
  t.match(await command('ca', 'show', '--file', file), { code: 0, stdout: /^name {7}Mine\n/ })
  writeFileSync(file, 'nothing')
  t.match(await command('ca', 'show', '--file', file), { code: 1, stdout: '', stderr: /There is no usable certificate authority/ })
})

t.test('export writes the certificate and no key', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  await command('ca', 'create', '--file', file)
  const bundle = readFileSync(file, 'utf8')
  const certificate = new X509Certificate(bundle.slice(bundle.indexOf('-----BEGIN CERTIFICATE')))
  t.strictSame(await command('ca', 'export', '--file', file), { code: 0, stdout: certificate.toString(), stderr: '' })
  t.equal((await command('ca', 'export', '--file', file, '--format', 'der')).stdout, certificate.raw.toString('latin1'))
  const out = join(directory, 'out')
  t.strictSame(await command('ca', 'export', '--file', file, '--format', 'p12', '--out', out), { code: 0, stdout: '', stderr: '' })
  t.ok(readFileSync(out).includes(certificate.raw))
  t.match(await command('ca', 'export', '--file', file, '--out', out), { code: 1, stderr: `fastify-prox: ${out} is there already; --force replaces it\n` })
  t.match(await command('ca', 'export', '--file', file, '--out', out, '--force'), { code: 0 })
  t.equal(readFileSync(out, 'utf8'), certificate.toString())
  t.match(await command('ca', 'export', '--file', file, '--out', join(directory, 'no', 'where')), { code: 1, stderr: /ENOENT/ })
})

t.test('issue gives a host a certificate with a key of its own', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  await command('ca', 'create', '--file', file)
  const ca = readFileSync(file, 'utf8')
  const authority = new X509Certificate(ca.slice(ca.indexOf('-----BEGIN CERTIFICATE')))

  const { code, stdout } = await command('ca', 'issue', 'WWW.example.com', '--file', file)
  t.equal(code, 0)
  const leaf = new X509Certificate(stdout.slice(stdout.indexOf('-----BEGIN CERTIFICATE')))
  t.ok(leaf.verify(authority.publicKey))
  t.ok(leaf.checkPrivateKey(createPrivateKey(stdout)))
  t.equal(leaf.subjectAltName, 'DNS:example.com, DNS:*.example.com')

  const [out, keyOut] = [join(directory, 'leaf.pem'), join(directory, 'leaf.key')]
  writeFileSync(keyOut, 'mine', { mode: 0o644 })
  const both = ['ca', 'issue', 'www.example.com', '--no-wildcards', '--file', file, '--out', out, '--key-out', keyOut]
  t.match(await command(...both), { code: 1, stdout: '', stderr: /leaf\.key is there already; --force replaces it/ })
  t.notOk(existsSync(out), 'all or nothing')
  t.equal(readFileSync(keyOut, 'utf8'), 'mine')
  t.strictSame(await command(...both, '--force'), { code: 0, stdout: '', stderr: '' })
  const exact = new X509Certificate(readFileSync(out))
  t.equal(exact.subjectAltName, 'DNS:www.example.com')
  t.ok(exact.checkPrivateKey(createPrivateKey(readFileSync(keyOut))))
  t.notMatch(readFileSync(out, 'utf8'), 'PRIVATE KEY')
  t.equal(mode(keyOut), '600', 'although it was looser before')
  t.equal(mode(out), '644')

  const bundle = join(directory, 'bundle.pem')
  t.match(await command('ca', 'issue', '192.0.2.1', '--file', file, '--out', bundle), { code: 0, stdout: '' })
  t.equal(mode(bundle), '600')
  t.equal(new X509Certificate(readFileSync(bundle)).subjectAltName, 'IP Address:192.0.2.1')

  const key = join(directory, 'only.key')
  const split = await command('ca', 'issue', 'a.test', '--file', file, '--key-out', key)
  t.notMatch(split.stdout, 'PRIVATE KEY')
  t.ok(new X509Certificate(split.stdout).checkPrivateKey(createPrivateKey(readFileSync(key))))

  t.match(await command('ca', 'issue', 'no host', '--file', file), { code: 1, stdout: '', stderr: /"no host" is neither a host name nor an IP address/ })
})

t.test('without --file it is the one that an application makes', async (t) => {
  const directory = t.testdir({ app: {} })
  const back = process.cwd()
  t.teardown(() => process.chdir(back))
  process.chdir(join(directory, 'app'))
  const { code } = await command('ca', 'create')
  process.chdir(back)
  t.equal(code, 0)
  t.ok(existsSync(join(directory, 'app', 'ca', 'fastify-prox-ca.pem')))
})

t.test('a file that cannot be read', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  mkdirSync(file)
  t.match(await command('ca', 'show', '--file', file), { code: 1, stderr: /EISDIR/ })
  t.match(await command('ca', 'create', '--file', file), { code: 1, stderr: /EISDIR/ })
})
