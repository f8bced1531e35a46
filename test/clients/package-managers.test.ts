import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { command, drive } from './clients'
import type { Client, ClientProxy } from './clients'

// They take their time on a busy machine.
t.setTimeout(180_000)

interface Manager {
  readonly name: string
  readonly version: Client['version']
  readonly from: string
  /** Where a later request goes through the connection of one before. */
  readonly keepAlive: Client['keepAlive']
  /** The command that installs `thing` from a registry, and variables for it. */
  readonly install: (registry: string) => [file: string, args: string[], variables?: Record<string, string>]
}

/** A command that prints the version, and fails where tar is missing, which the package is made with. */
function versionWithTar (manager: string): Client['version'] {
  return ['sh', '-c', 'command -v tar >/dev/null && "$0" --version', manager]
}

/** Drives a package manager: it installs one package from a registry by http, and one from a registry by https. */
function driveManager ({ name, version, from, keepAlive, install }: Manager): void {
  drive(t, {
    name,
    version,
    from,
    schemes: ['http', 'https'],
    keepAlive,
    urls: ['http://registry.test/thing', 'https://registry.test/thing'],
    run: async (proxy, urls) => {
      const tarball = await makeTarball(proxy)
      const answers = []
      for (const url of urls) {
        publish(proxy, url, tarball)
        const { origin, protocol } = new URL(url)
        const project = join(proxy.directory, protocol.replace(':', ''))
        mkdirSync(project)
        writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'project', private: true }))
        // Yarn takes a project without it for a part of one in the folders above.
        writeFileSync(join(project, 'yarn.lock'), '')
        const [file, args, variables] = install(origin)
        await proxy.exec(file, args, variables, project)
        if (readFileSync(join(project, 'node_modules/thing/file'), 'utf8') === 'content') answers.push(url)
      }
      return answers.join('\n')
    }
  })
}

driveManager({
  name: 'npm',
  version: versionWithTar('npm'),
  from: 'comes with Node, and takes tar',
  keepAlive: ['http', 'https'],
  install: (registry) => ['npm', [
    'install', 'thing', '--registry', registry, '--cache', 'cache', '--no-audit', '--no-fund', '--no-update-notifier'
  ]]
})

driveManager({
  name: 'pnpm',
  version: versionWithTar(command('pnpm')),
  from: 'npm: pnpm; and takes tar',
  keepAlive: [],
  install: (registry) => [command('pnpm'), ['add', 'thing', '--registry', registry, '--store-dir', 'store']]
})

driveManager({
  name: 'Yarn',
  version: versionWithTar(command('yarn')),
  from: 'npm: @yarnpkg/cli-dist; and takes tar',
  keepAlive: [],
  install: (registry) => [command('yarn'), ['add', 'thing'], {
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_UNSAFE_HTTP_WHITELIST: 'registry.test',
    YARN_NODE_LINKER: 'node-modules',
    YARN_ENABLE_GLOBAL_CACHE: 'false',
    YARN_ENABLE_TELEMETRY: 'false'
  }]
})

/** Has the proxy serve a registry with one package, at the URL of its metadata. */
function publish (proxy: ClientProxy, url: string, tarball: Buffer): void {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  const dist = { tarball: `${url}/-/thing-1.0.0.tgz`, integrity }
  const versions = { '1.0.0': { name: 'thing', version: '1.0.0', dist } }
  // Package managers install nothing that is new.
  const time = { '1.0.0': '2020-01-01T00:00:00.000Z' }
  proxy.files.set(dist.tarball, tarball)
  proxy.files.set(url, JSON.stringify({ name: 'thing', 'dist-tags': { latest: '1.0.0' }, versions, time }))
}

/** A package with one file. */
async function makeTarball (proxy: ClientProxy): Promise<Buffer> {
  const folder = join(proxy.directory, 'package')
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'thing', version: '1.0.0' }))
  writeFileSync(join(folder, 'file'), 'content')
  await proxy.exec('tar', ['-czf', 'thing.tgz', 'package'])
  return readFileSync(join(proxy.directory, 'thing.tgz'))
}
