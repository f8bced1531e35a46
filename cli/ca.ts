/** `fastify-prox ca`: makes the certificate authority, shows and exports it, and issues certificates with it. */
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { Argument, Command, Option } from 'commander'
import { CertificateAuthority } from '../plugin/ca/authority'
import { makePemBundle } from '../plugin/ca/bundle'
import { describeConstraints } from '../plugin/ca/constraints'
import { readOptions } from '../plugin/ca/options'
import { FileStore, STORE_KEY } from '../plugin/ca/storage'
import { readConstraints } from '../plugin/ca/x509'
import type {
  AuthorityCertificate, CertificateAuthorityOptions, CertificateAuthorityWarning, KeyType, RotationStep
} from '../types/ca'
import { FileTakenError, assertWritable, attempt, writeResults } from './files'
import type { Result } from './files'
import type { Output } from './output'
import { loadStore } from './store'

interface FileOption {
  file: string
}

interface OutOptions {
  out?: string
  force?: boolean
}

interface CreateOptions extends FileOption {
  name?: string
  keyType?: KeyType
  permit?: string[]
  force?: boolean
}

interface ShowOptions extends FileOption {
  json?: true
}

interface ExportOptions extends FileOption, OutOptions {
  format: 'pem' | 'der' | 'p12'
}

interface RotateOptions extends Omit<CreateOptions, 'force'> {
  store?: string
}

interface IssueOptions extends FileOption, OutOptions {
  keyOut?: string
  keyType?: KeyType
  wildcards: boolean
}

const OWNER_ONLY = 0o600
const EVERYONE = 0o644

type Description = Record<'name' | 'file' | 'key' | 'notBefore' | 'notAfter' | 'sha256', string> &
  Record<'permit' | 'exclude' | 'others', string[]>

/** What there is to know of an authority. */
function describe (authority: CertificateAuthority): Description {
  const certificate = new X509Certificate(authority.certificatePem)
  const { crv } = certificate.publicKey.export({ format: 'jwk' })
  return {
    name: authority.name,
    file: authority.file!,
    key: crv ?? `RSA, ${certificate.publicKey.asymmetricKeyDetails!.modulusLength} bits`,
    notBefore: new Date(certificate.validFrom).toISOString(),
    notAfter: authority.notAfter.toISOString(),
    sha256: authority.fingerprint256,
    ...describeConstraints(readConstraints(certificate)),
    others: authority.certificates.slice(1).map(describeOther)
  }
}

function describeOther ({ name, notAfter, fingerprint256 }: AuthorityCertificate): string {
  return `${name}, until ${notAfter.toISOString()}, ${fingerprint256}`
}

/** What is to be done when a step has been taken. */
const NEXT: Record<RotationStep, string> = {
  announce: 'The second one is announced, and does not sign yet. ' +
    'When the clients trust it: fastify-prox ca rotate switch',
  switch: 'The first one signs now. When no client needs the other any more: fastify-prox ca rotate drop',
  drop: 'There is one again.'
}

/** One line for each thing that is known of an authority. */
function describeText (authority: CertificateAuthority): string {
  const { permit, exclude, others, ...rest } = describe(authority)
  const lines = Object.entries({ ...rest, permit: permit.join(', ') || 'everything' })
  if (exclude.length > 0) lines.push(['exclude', exclude.join(', ')])
  for (const other of others) lines.push(['besides', other])
  return lines.map(([label, value]) => `${label.padEnd(10)} ${value}\n`).join('')
}

/** Makes the command with the commands below it. */
export function caCommand ({ stdout, stderr }: Output): Command {
  const tell = (message: string) => { stderr.write(`fastify-prox: ${message}\n`) }
  const warn = ({ message }: CertificateAuthorityWarning) => tell(`warning: ${message}`)

  /** Loads the authority that is there; unlike an application, the command does not make one in passing. */
  const load = async (options: CertificateAuthorityOptions & FileOption): Promise<CertificateAuthority> => {
    const { file } = new FileStore(options.file, warn)
    if (!existsSync(file)) {
      const advice = `"fastify-prox ca create --file ${options.file}" makes one`
      throw new Error(`there is no certificate authority in ${file}; ${advice}`)
    }
    return await CertificateAuthority.load(options, warn)
  }

  const create = async ({ force = false, ...options }: CreateOptions) => {
    const { make } = readOptions(options)
    const store = new FileStore(options.file, warn)
    await assertWritable(store.file, force)
    const pem = await makePemBundle(make)
    await attempt(store.file, async () => {
      if (force) await store.set(STORE_KEY, pem)
      else if (!await store.add(STORE_KEY, pem)) throw new FileTakenError(store.file)
    })
    stdout.write(describeText(await CertificateAuthority.load(options, warn)))
  }

  const show = async ({ json, ...options }: ShowOptions) => {
    const authority = await load(options)
    stdout.write(json ? `${JSON.stringify(describe(authority), null, 2)}\n` : describeText(authority))
  }

  const rotate = async (step: RotationStep, { store: module, ...options }: RotateOptions) => {
    const { file, ...make } = options
    const { store, close } = module === undefined ? { store: undefined, close: () => {} } : await loadStore(module)
    try {
      const origin = store === undefined ? { file } : { store }
      const certificates = await CertificateAuthority.rotate({ ...make, ...origin }, step, warn)
      stdout.write(certificates.map((each, i) => `${i === 0 ? 'signs' : 'besides'}: ${describeOther(each)}\n`).join(''))
      tell(`${NEXT[step]} Processes see it within ca.refresh, 60 seconds unless they were told otherwise.`)
    } finally {
      await close()
    }
  }

  const write = async (results: Array<Result & { what: string }>, force: boolean, file: string) => {
    const store = new FileStore(file, warn)
    await writeResults(results, force, [store.file, store.keyFile])
    for (const { file, what } of results) tell(`wrote ${what} to ${file}`)
  }

  const exportIt = async ({ format, out, force = false, ...options }: ExportOptions) => {
    const authority = await load(options)
    const content = { pem: authority.trustedPem, der: authority.certificateDer, p12: authority.pkcs12() }[format]
    if (out !== undefined) {
      const what = `the certificate of "${authority.name}"`
      return await write([{ file: out, content, mode: EVERYONE, what }], force, options.file)
    }
    if (stdout.isTTY === true && typeof content !== 'string') {
      throw new Error(`${format} is binary and would garble the terminal: name a file with --out`)
    }
    stdout.write(content)
  }

  const issue = async (host: string, { out, keyOut, keyType, force = false, ...options }: IssueOptions) => {
    const { key, cert } = await (await load({ ...options, leafKeyType: keyType })).issue(host)
    const { subjectAltName, validTo } = new X509Certificate(cert)
    const certificate = `the certificate for ${subjectAltName}, valid until ${new Date(validTo).toISOString()},`
    const results: Array<Result & { what: string }> = []
    if (keyOut !== undefined) results.push({ file: keyOut, content: key, mode: OWNER_ONLY, what: 'the private key' })
    if (out !== undefined) {
      results.push(keyOut === undefined
        ? { file: out, content: key + cert, mode: OWNER_ONLY, what: `the private key and ${certificate}` }
        : { file: out, content: cert, mode: EVERYONE, what: certificate })
    }
    await write(results, force, options.file)
    if (out === undefined) stdout.write(keyOut === undefined ? key + cert : cert)
  }

  const fileOption = () => new Option('--file <path>', 'PEM bundle with the private key and the certificate')
    .default('./ca/fastify-prox-ca.pem')
  const forceOption = () => new Option('--force', 'replace a file that is there already')
  const keyTypeOption = () => new Option('--key-type <type>', 'its key: P-256 (default) or RSA of 2048 bits')
    .choices(['ec', 'rsa'])

  return new Command('ca')
    .description('make, show and export the certificate authority; issue certificates')
    .helpCommand(false)
    .addCommand(new Command('create')
      .description('make a new certificate authority')
      .addOption(fileOption())
      .option('--name <name>', 'its common name')
      .addOption(keyTypeOption())
      .option('--permit <names...>', 'what it may sign for: DNS names, addresses, networks (default: everything)')
      .addOption(forceOption())
      .action(create))
    .addCommand(new Command('show')
      .description('print what it is: name, key, validity, fingerprint, what it may sign for')
      .addOption(fileOption())
      .option('--json', 'print it as JSON')
      .action(show))
    .addCommand(new Command('export')
      .description('write its certificate, without the private key, for those who are to trust it')
      .addOption(fileOption())
      .addOption(new Option('--format <format>', 'how').choices(['pem', 'der', 'p12']).default('pem'))
      .option('--out <path>', 'where to (default: standard output)')
      .addOption(forceOption())
      .action(exportIt))
    .addCommand(new Command('rotate')
      .description('change it for a new one: announce that, switch to it, drop the one before')
      .addArgument(new Argument('<step>', 'the step to take').choices(['announce', 'switch', 'drop']))
      .addOption(fileOption())
      .option('--store <module>', 'module whose default export is a store, in place of --file; its "close" is called')
      .option('--name <name>', 'common name of the new one (default: that of the one before, with the time)')
      .addOption(keyTypeOption())
      .option('--permit <names...>', 'what the new one may sign for (default: as the one before)')
      .action(rotate))
    .addCommand(new Command('issue')
      .description('issue a certificate for a server, with a private key of its own')
      .addArgument(new Argument('<host>', 'DNS name or IP address'))
      .addOption(fileOption())
      .option('--out <path>', 'where to (default: standard output)')
      .option('--key-out <path>', 'where to write the private key (default: before the certificate)')
      .addOption(keyTypeOption())
      .option('--no-wildcards', 'name the host alone, without its parent domain')
      .addOption(forceOption())
      .action(issue))
}
