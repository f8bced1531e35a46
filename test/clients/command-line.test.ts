import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { drive } from './clients'
import type { ClientProxy } from './clients'

// git takes its time on a busy machine.
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

async function git (proxy: ClientProxy, args: string[]): Promise<void> {
  const settings = ['user.name=t', 'user.email=t@example.com', 'init.defaultBranch=main']
  args = [...settings.flatMap((text) => ['-c', text]), ...args]
  await proxy.exec('git', args, { GIT_CONFIG_NOSYSTEM: '1' })
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

function filesIn (directory: string): string[] {
  const names = readdirSync(directory, { recursive: true }) as string[]
  return names.filter((name) => statSync(join(directory, name)).isFile())
}
