/** The command `fastify-prox`: its arguments, its output, its exit codes. */
import { execFileSync } from 'node:child_process'
import { X509Certificate, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import {
  chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../cli/program'
import { rdn, selfSigned } from '../ca/bundles'

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function command (...args: string[]): Promise<Outcome> {
  return await commandOn(false, ...args)
}

async function commandOn (isTTY: boolean, ...args: string[]): Promise<Outcome> {
  const written = { stdout: '', stderr: '' }
  const code = await run(args, {
    stdout: {
      isTTY,
      write: (chunk) => { written.stdout += Buffer.from(chunk).toString('latin1') }
    },
    stderr: { write: (chunk) => { written.stderr += chunk } }
  })
  return { code, ...written }
}

// Whatever the one of the shell is.
process.umask(0o022)

const KEY = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n'

const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

t.test('--help and --version are answered on the standard output', async (t) => {
  const { version } = JSON.parse(
    readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8')
  ) as { version: string }
  t.strictSame(await command('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  t.match(await command('--help'), {
    code: 0,
    stdout: /Usage: fastify-prox .*Commands:\n {2}run .*\n {2}start .*\n {2}ca .*Exit codes: 0 done, 1 failed/s,
    stderr: ''
  })
  t.match(
    await command('ca', '--help'), { code: 0, stdout: /create .*show .*export .*issue \[options\] <host>/s, stderr: '' }
  )
  for (const name of ['create', 'show', 'export', 'issue']) {
    t.match(await command('ca', name, '--help'), { code: 0, stdout: /--file <path>/, stderr: '' }, name)
  }
})

t.test('wrong arguments are told on the standard error, with exit code 2', async (t) => {
  const wrong: Array<[string[], RegExp]> = [
    [[], /Usage: fastify-prox/],
    [['ca'], /Usage: fastify-prox ca/],
    [['nothing'], /^fastify-prox: There is no command "nothing"\.\nRun with --help for usage\.\n$/],
    [['ca', 'nothing'], /^fastify-prox: There is no command "nothing"\.\nRun with --help for usage\.\n$/],
    [['ca', 'shwo'], /^fastify-prox: There is no command "shwo"\. Did you mean "show"\?\nRun with --help/],
    [['--nothing'], /^fastify-prox: There is no option "--nothing"\.\n/],
    [
      ['ca', 'show', '--fil', 'x'],
      /^fastify-prox: There is no option "--fil"\. Did you mean "--file"\?\nRun with --help/
    ],
    [['ca', 'show', '--file'], /^fastify-prox: option '--file <path>' argument missing\nRun with --help/],
    [['ca', 'create', '--key-type', 'dsa'], /Allowed choices are ec, rsa/],
    [['ca', 'export', '--format', 'jks'], /Allowed choices are pem, der, p12/],
    [
      ['ca', 'export', '--format', KEY],
      /^fastify-prox: an argument is a PEM text, where the path of its file belongs\n/
    ],
    [['ca', KEY], /^fastify-prox: an argument is a PEM text/],
    [['ca', 'issue'], /missing required argument 'host'/],
    [['ca', 'issue', 'one.test', 'two.test'], /too many arguments/]
  ]
  for (const [args, stderr] of wrong) {
    const outcome = await command(...args)
    t.match(outcome, { code: 2, stdout: '', stderr }, args.join(' '))
    t.notMatch(outcome.stderr, KEY)
  }
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
    `sha256     ${certificate.fingerprint256}`,
    'permit     everything'
  ].join('\n') + '\n')
  t.equal(mode(file), '600')
  t.equal(readFileSync(join(file, '..', '.gitignore'), 'utf8'), '*\n')
  const before = readFileSync(file)
  t.strictSame(
    await command('ca', 'create', '--file', file),
    { code: 1, stdout: '', stderr: `fastify-prox: ${file} is there already; --force replaces it\n` }
  )
  t.same(readFileSync(file), before)
  t.match(await command(
    'ca', 'create', '--file', file, '--force', '--key-type', 'rsa', '--permit', '.test', '10.0.0.0/8'
  ), {
    code: 0,
    stdout: /^name {7}fastify-prox https proxy CA\n.*\nkey {8}RSA, 2048 bits\n[^]*\npermit {5}test, 10\.0\.0\.0\/8\n$/,
    stderr: ''
  })
  t.match(await command('ca', 'create', '--file', file, '--force', '--permit', '.test'), {
    code: 0, stdout: /\npermit {5}test\nexclude {4}0\.0\.0\.0\/0, ::\/0\n$/
  })
  t.notSame(readFileSync(file), before)
  t.match(
    await command('ca', 'issue', 'www.example.com', '--file', file),
    { code: 1, stdout: '', stderr: /do not permit a certificate for www\.example\.com/ }
  )
  t.match(await command('ca', 'issue', 'www.a.test', '--file', file), { code: 0, stderr: '' })
})

t.test('create refuses what the option would', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  t.match(
    await command('ca', 'create', '--file', file, '--name', 'x'.repeat(65)),
    { code: 1, stderr: /^fastify-prox: The option ca\.name takes a string of 1 to 64 characters/ }
  )
  t.match(await command('ca', 'create', '--file', file, '--permit', 'a b'), { code: 1, stderr: /ca\.permit/ })
  t.notOk(existsSync(file))
})

t.test('ca show tells what is there', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  t.strictSame(
    await command('ca', 'show', '--file', file),
    {
      code: 1,
      stdout: '',
      stderr: `fastify-prox: there is no certificate authority in ${file}; ` +
        `"fastify-prox ca create --file ${file}" makes one\n`
    }
  )
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
    sha256: certificate.fingerprint256,
    permit: [],
    exclude: [],
    others: []
  })
  t.equal(
    shown.stderr,
    `fastify-prox: warning: Others than its owner may read the private key in ${file}: chmod 600 ${file}\n`
  )
  t.equal(shown.code, 0)
  t.match(await command('ca', 'show', '--file', file), { code: 0, stdout: /^name {7}Mine\n/ })
  writeFileSync(file, 'nothing')
  t.match(
    await command('ca', 'show', '--file', file),
    { code: 1, stdout: '', stderr: /There is no usable certificate authority/ }
  )
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
  t.strictSame(await command('ca', 'export', '--file', file, '--format', 'p12', '--out', out), {
    code: 0, stdout: '', stderr: `fastify-prox: wrote the certificate of "fastify-prox https proxy CA" to ${out}\n`
  })
  for (const format of ['der', 'p12']) {
    t.strictSame(await commandOn(true, 'ca', 'export', '--file', file, '--format', format), {
      code: 1,
      stdout: '',
      stderr: `fastify-prox: ${format} is binary and would garble the terminal: name a file with --out\n`
    })
  }
  t.strictSame(
    await commandOn(true, 'ca', 'export', '--file', file), { code: 0, stdout: certificate.toString(), stderr: '' }
  )
  t.ok(readFileSync(out).includes(certificate.raw))
  t.match(
    await command('ca', 'export', '--file', file, '--out', out),
    { code: 1, stderr: `fastify-prox: ${out} is there already; --force replaces it\n` }
  )
  t.match(await command('ca', 'export', '--file', file, '--out', out, '--force'), { code: 0 })
  t.equal(readFileSync(out, 'utf8'), certificate.toString())
  t.match(await command('ca', 'export', '--file', file, '--out', join(directory, 'no', 'where')), {
    code: 1,
    stderr: `fastify-prox: ${join(directory, 'no', 'where')} cannot be written: there is no such directory (ENOENT)\n`
  })
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
  const written = await command(...both, '--force')
  const exact = new X509Certificate(readFileSync(out))
  t.strictSame(written, {
    code: 0,
    stdout: '',
    stderr: `fastify-prox: wrote the private key to ${keyOut}\n` +
      'fastify-prox: wrote the certificate for DNS:www.example.com, valid until ' +
      `${new Date(exact.validTo).toISOString()}, to ${out}\n`
  })
  t.equal(exact.subjectAltName, 'DNS:www.example.com')
  t.ok(exact.checkPrivateKey(createPrivateKey(readFileSync(keyOut))))
  t.notMatch(readFileSync(out, 'utf8'), 'PRIVATE KEY')
  t.equal(mode(keyOut), '600', 'although it was looser before')
  t.equal(mode(out), '644')

  const bundle = join(directory, 'bundle.pem')
  t.match(await command('ca', 'issue', '192.0.2.1', '--file', file, '--out', bundle), {
    code: 0,
    stdout: '',
    stderr: /^fastify-prox: wrote the private key and the certificate for IP Address:192\.0\.2\.1, /
  })
  t.equal(mode(bundle), '600')
  t.equal(new X509Certificate(readFileSync(bundle)).subjectAltName, 'IP Address:192.0.2.1')

  const key = join(directory, 'only.key')
  const split = await command('ca', 'issue', 'a.test', '--file', file, '--key-out', key)
  t.notMatch(split.stdout, 'PRIVATE KEY')
  t.ok(new X509Certificate(split.stdout).checkPrivateKey(createPrivateKey(readFileSync(key))))

  const rsa = await command('ca', 'issue', 'a.test', '--file', file, '--key-type', 'rsa')
  t.match(new X509Certificate(rsa.stdout.slice(rsa.stdout.indexOf('-----BEGIN CERTIFICATE'))).publicKey, {
    asymmetricKeyType: 'rsa'
  })

  t.match(
    await command('ca', 'issue', 'no host', '--file', file),
    { code: 1, stdout: '', stderr: /"no host" is neither a host name nor an IP address/ }
  )
})

t.test('without --file the CA is the one that an application makes', async (t) => {
  const directory = t.testdir({ app: {} })
  const back = process.cwd()
  t.teardown(() => process.chdir(back))
  process.chdir(join(directory, 'app'))
  const { code } = await command('ca', 'create')
  process.chdir(back)
  t.equal(code, 0)
  t.ok(existsSync(join(directory, 'app', 'ca', 'fastify-prox-ca.pem')))
})

t.test('a file that cannot be read or written is an error in words', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  mkdirSync(file)
  t.match(await command('ca', 'show', '--file', file), {
    code: 1, stderr: `fastify-prox: The certificate authority in ${file} cannot be read: it is a directory (EISDIR)\n`
  })
  for (const force of [[], ['--force']]) {
    t.match(await command('ca', 'create', '--file', file, ...force), {
      code: 1, stderr: `fastify-prox: ${file} cannot be written: it is a directory\n`
    })
  }
  t.match(await command('ca', 'create', '--file', join(file, '..', 'x', '\0')), { code: 1, stderr: /^fastify-prox: / })
})

t.test('what is not a regular file is neither followed nor replaced', async (t) => {
  const directory = t.testdir({ target: 'mine' })
  const file = join(directory, 'ca.pem')
  await command('ca', 'create', '--file', file)
  const dangling = join(directory, 'dangling')
  const link = join(directory, 'link')
  const fifo = join(directory, 'fifo')
  symlinkSync('nowhere', dangling)
  symlinkSync('target', link)
  execFileSync('mkfifo', [fifo])
  for (const out of [dangling, link, fifo, '/dev/null']) {
    for (const force of [[], ['--force']]) {
      const refused = {
        code: 1, stdout: '', stderr: `fastify-prox: ${out} cannot be written: it is not a regular file\n`
      }
      t.strictSame(await command('ca', 'export', '--file', file, '--out', out, ...force), refused)
      t.strictSame(await command('ca', 'issue', 'a.test', '--file', file, '--key-out', out, ...force), refused)
      t.strictSame(await command('ca', 'create', '--file', out, ...force), refused)
    }
  }
  t.equal(readlinkSync(dangling), 'nowhere')
  t.equal(readFileSync(join(directory, 'target'), 'utf8'), 'mine')
  t.ok(lstatSync(fifo).isFIFO())
  t.same(readdirSync(directory).sort(), ['ca.pem', 'dangling', 'fifo', 'link', 'target'], 'nothing stays behind')
  t.match(
    await command('ca', 'show', '--file', fifo), { code: 1, stderr: /cannot be read: it is not a regular file\n$/ }
  )
})

t.test('no output takes the place of the key, and none that of the CA', async (t) => {
  const directory = t.testdir({ sub: {} })
  const file = join(directory, 'ca.pem')
  await command('ca', 'create', '--file', file)
  const before = readFileSync(file)
  const out = join(directory, 'x.pem')
  symlinkSync('.', join(directory, 'same'))
  for (const other of [out, join(directory, 'sub', '..', 'x.pem'), join(directory, 'same', 'x.pem')]) {
    for (const force of [[], ['--force']]) {
      t.match(await command('ca', 'issue', 'a.test', '--file', file, '--out', other, '--key-out', out, ...force), {
        code: 1, stdout: '', stderr: /x\.pem cannot be both the file of the key and of the certificate\n$/
      })
    }
  }
  t.notOk(existsSync(out))
  for (const own of [file, join(directory, 'same', 'ca.pem')]) {
    t.match(await command('ca', 'export', '--file', file, '--out', own, '--force'), {
      code: 1, stdout: '', stderr: /ca\.pem holds the certificate authority: choose another file\n$/
    })
  }
  t.same(readFileSync(file), before)
})

t.test('when one of two files cannot be written, neither is', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'ca.pem')
  await command('ca', 'create', '--file', file)
  const [out, keyOut] = [join(directory, 'no', 'leaf.pem'), join(directory, 'leaf.key')]
  t.match(await command('ca', 'issue', 'a.test', '--file', file, '--out', out, '--key-out', keyOut), {
    code: 1, stdout: '', stderr: /leaf\.pem cannot be written: there is no such directory/
  })
  t.same(readdirSync(directory), ['ca.pem'])
})
