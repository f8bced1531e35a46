import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { drive } from './clients'
import type { ClientProxy } from './clients'

// npm takes its time on a busy machine.
t.setTimeout(180_000)

drive(t, {
  name: 'curl',
  version: ['curl', '--version'],
  from: 'Debian: curl',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  run: (proxy, urls) => proxy.exec('curl', ['-sSf', ...urls])
})

drive(t, {
  name: 'wget',
  version: ['wget', '--version'],
  from: 'Debian: wget',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  // It reads the proxy variables, but none for a CA.
  run: (proxy, urls) => proxy.exec('wget', ['-q', '-O', '-', `--ca-certificate=${proxy.ca}`, ...urls])
})

drive(t, {
  name: 'git',
  version: ['git', '--version'],
  from: 'Debian: git',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  urls: ['http://git.test/repository.git', 'https://git.test/repository.git'],
  run: async (proxy, urls) => {
    const repository = await makeRepository(proxy)
    const answers = []
    for (const url of urls) {
      for (const file of filesIn(repository)) proxy.files.set(`${url}/${file}`, readFileSync(join(repository, file)))
      const clone = join(proxy.directory, new URL(url).protocol.replace(':', ''))
      await git(proxy, ['clone', '--quiet', url, clone])
      if (readFileSync(join(clone, 'file'), 'utf8') === 'content') answers.push(url)
    }
    return answers.join('\n')
  }
})

drive(t, {
  name: 'npm',
  // Its package is made with tar.
  version: ['sh', '-c', 'command -v tar >/dev/null && npm --version'],
  from: 'comes with Node, and takes tar',
  schemes: ['http', 'https'],
  keepAlive: ['http', 'https'],
  urls: ['http://npm.test/thing', 'https://npm.test/thing'],
  run: async (proxy, urls) => {
    const tarball = await makeTarball(proxy)
    const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
    const answers = []
    for (const url of urls) {
      const dist = { tarball: `${url}/-/thing-1.0.0.tgz`, integrity }
      proxy.files.set(dist.tarball, tarball)
      proxy.files.set(url, JSON.stringify({ name: 'thing', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name: 'thing', version: '1.0.0', dist } } }))
      const { origin, protocol } = new URL(url)
      const project = join(proxy.directory, protocol.replace(':', ''))
      mkdirSync(project)
      await proxy.exec('npm', ['install', 'thing', '--registry', origin, '--prefix', project, '--cache', join(project, 'cache'), '--no-audit', '--no-fund', '--no-update-notifier'])
      if (readFileSync(join(project, 'node_modules/thing/file'), 'utf8') === 'content') answers.push(url)
    }
    return answers.join('\n')
  }
})

async function git (proxy: ClientProxy, args: string[]): Promise<void> {
  await proxy.exec('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'init.defaultBranch=main', ...args], { GIT_CONFIG_NOSYSTEM: '1' })
}

/** A bare repository with one commit, as a server without a program for git has it. */
async function makeRepository (proxy: ClientProxy): Promise<string> {
  const source = join(proxy.directory, 'source')
  const repository = join(proxy.directory, 'repository.git')
  await git(proxy, ['init', '--quiet', source])
  writeFileSync(join(source, 'file'), 'content')
  await git(proxy, ['-C', source, 'add', 'file'])
  await git(proxy, ['-C', source, 'commit', '--quiet', '-m', 'test: one file'])
  await git(proxy, ['clone', '--quiet', '--bare', source, repository])
  await git(proxy, ['-C', repository, 'update-server-info'])
  return repository
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

function filesIn (directory: string): string[] {
  return (readdirSync(directory, { recursive: true }) as string[]).filter((name) => statSync(join(directory, name)).isFile())
}
