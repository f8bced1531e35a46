/** `fastify-prox ca`: makes the certificate authority, shows and exports it, and issues certificates with it. */
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { Argument, Command, Option } from 'commander'
import { CertificateAuthority } from '../plugin/ca/authority'
import { makePemBundle } from '../plugin/ca/bundle'
import { readOptions } from '../plugin/ca/options'
import { FileStore, STORE_KEY } from '../plugin/ca/storage'
import type { Warning } from '../plugin/ca/storage'
import type { CertificateAuthorityOptions } from '../types/ca'
import type { Output } from './run'

interface FileOption {
  file: string
}

interface OutOptions {
  out?: string
  force?: boolean
}

interface CreateOptions extends FileOption {
  name?: string
  keyType?: 'ec' | 'rsa'
  permit?: string[]
  force?: boolean
}

interface ShowOptions extends FileOption {
  json?: true
}

interface ExportOptions extends FileOption, OutOptions {
  format: 'pem' | 'der' | 'p12'
}

interface IssueOptions extends FileOption, OutOptions {
  keyOut?: string
  wildcards: boolean
}

/** A file that the command writes. */
interface Result {
  readonly file: string
  readonly content: string | Buffer
  readonly mode: number
}

const OWNER_ONLY = 0o600
const EVERYONE = 0o644

function taken (file: string): Error {
  return new Error(`${file} is there already; --force replaces it`)
}

/** Writes all of the files, or none when one is there already. */
async function writeResults (results: Result[], force: boolean): Promise<void> {
  const clash = results.find(({ file }) => existsSync(file))
  if (clash !== undefined && !force) throw taken(clash.file)
  for (const { file, content, mode } of results) {
    // A file that is written over would keep its mode.
    await rm(file, { force: true })
    await writeFile(file, content, { mode, flag: 'wx' })
  }
}

/** What there is to know of an authority. */
function describe (authority: CertificateAuthority): Record<string, string> {
  const certificate = new X509Certificate(authority.certificatePem)
  const { crv } = certificate.publicKey.export({ format: 'jwk' })
  return {
    name: authority.name,
    file: authority.file!,
    key: crv ?? `RSA, ${certificate.publicKey.asymmetricKeyDetails!.modulusLength} bits`,
    notBefore: new Date(certificate.validFrom).toISOString(),
    notAfter: authority.notAfter.toISOString(),
    sha256: authority.fingerprint256
  }
}

/** The command and those below it. */
export function caCommand ({ stdout, stderr }: Output): Command {
  const warn = ({ message }: Warning) => { stderr.write(`fastify-prox: ${message}\n`) }

  const show = (authority: CertificateAuthority) => {
    for (const [label, value] of Object.entries(describe(authority))) stdout.write(`${label.padEnd(10)} ${value}\n`)
  }

  /** The authority that is there; unlike an application, the command does not make one in passing. */
  const load = async (options: CertificateAuthorityOptions & FileOption): Promise<CertificateAuthority> => {
    const store = new FileStore(options.file, () => {})
    if (await store.get() === undefined) {
      throw new Error(`there is no certificate authority in ${store.file}; "fastify-prox ca create" makes one`)
    }
    return await CertificateAuthority.load(options, warn)
  }

  const create = async ({ force, ...options }: CreateOptions) => {
    const { make } = readOptions(options)
    const store = new FileStore(options.file, warn)
    if (force) {
      await store.replace(await makePemBundle(make))
    } else {
      if (await store.get() !== undefined) throw taken(store.file)
      await store.set(STORE_KEY, await makePemBundle(make))
    }
    show(await CertificateAuthority.load(options, warn))
  }

  const showIt = async ({ json, ...options }: ShowOptions) => {
    const authority = await load(options)
    if (json) stdout.write(`${JSON.stringify(describe(authority), null, 2)}\n`)
    else show(authority)
  }

  const exportIt = async ({ format, out, force = false, ...options }: ExportOptions) => {
    const authority = await load(options)
    const content = { pem: authority.certificatePem, der: authority.certificateDer, p12: authority.pkcs12() }[format]
    if (out === undefined) stdout.write(content)
    else await writeResults([{ file: out, content, mode: EVERYONE }], force)
  }

  const issue = async (host: string, { out, keyOut, force = false, ...options }: IssueOptions) => {
    const { key, certificate } = await (await load(options)).issue(host)
    const content = keyOut === undefined ? key + certificate : certificate
    const results: Result[] = []
    if (keyOut !== undefined) results.push({ file: keyOut, content: key, mode: OWNER_ONLY })
    if (out !== undefined) results.push({ file: out, content, mode: keyOut === undefined ? OWNER_ONLY : EVERYONE })
    await writeResults(results, force)
    if (out === undefined) stdout.write(content)
  }

  const fileOption = () => new Option('--file <path>', 'PEM bundle with the private key and the certificate').default('./ca/fastify-prox-ca.pem')
  const forceOption = () => new Option('--force', 'replace a file that is there already')

  return new Command('ca')
    .description('the certificate authority')
    .helpCommand(false)
    .addCommand(new Command('create')
      .description('make a new certificate authority')
      .addOption(fileOption())
      .option('--name <name>', 'its common name')
      .addOption(new Option('--key-type <type>', 'its key: P-256 or RSA of 2048 bits').choices(['ec', 'rsa']))
      .option('--permit <names...>', 'what it may sign for: DNS names, addresses, networks (default: everything)')
      .addOption(forceOption())
      .action(create))
    .addCommand(new Command('show')
      .description('print what it is: name, key, validity, fingerprint')
      .addOption(fileOption())
      .option('--json', 'print it as JSON')
      .action(showIt))
    .addCommand(new Command('export')
      .description('write its certificate, without the private key, for those who are to trust it')
      .addOption(fileOption())
      .addOption(new Option('--format <format>', 'how').choices(['pem', 'der', 'p12']).default('pem'))
      .option('--out <path>', 'where to (default: standard output)')
      .addOption(forceOption())
      .action(exportIt))
    .addCommand(new Command('issue')
      .description('issue a certificate for a server, with a private key of its own')
      .addArgument(new Argument('<host>', 'DNS name or IP address'))
      .addOption(fileOption())
      .option('--out <path>', 'where to (default: standard output)')
      .option('--key-out <path>', 'where to write the private key (default: before the certificate)')
      .option('--no-wildcards', 'name the host alone, without its parent domain')
      .addOption(forceOption())
      .action(issue))
}
