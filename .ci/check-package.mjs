/** Packs the package, checks it with publint and attw, and uses it as its users do: from a folder of their own. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'fastify-prox-package-'))
const run = (command, args, cwd = '.') => execFileSync(command, args, { cwd, stdio: 'inherit' })

try {
  run('npm', ['pack', '--pack-destination', folder])
  const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')))
  run('npx', ['publint', '--strict', tarball])
  run('npx', ['attw', tarball])

  const modules = join(folder, 'node_modules')
  const installed = join(modules, 'fastify-prox')
  mkdirSync(installed, { recursive: true })
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
  for (const name of readdirSync('node_modules')) symlinkSync(resolve('node_modules', name), join(modules, name))

  const use = `
    const app = Fastify()
    app.register(prox, { ca: { store: new Map() } })
    app.ready().then(() => console.log(typeof app.proxyCA.leaf, typeof named, typeof CertificateAuthority.load))`
  writeFileSync(join(folder, 'use.cjs'), `
    const Fastify = require('fastify')
    const prox = require('fastify-prox')
    const { default: named, CertificateAuthority } = prox
    ${use}`)
  writeFileSync(join(folder, 'use.mjs'), `
    import Fastify from 'fastify'
    import prox, { fastifyProx as named, CertificateAuthority } from 'fastify-prox'
    ${use}`)
  writeFileSync(join(folder, 'use.cts'), `
    import Fastify = require('fastify')
    import prox = require('fastify-prox')
    const app = Fastify()
    app.register(prox, { resolver: '/x/', ca: { store: new Map<string, string>() } })
    const options: prox.FastifyProxOptions = {}
    app.register(prox.fastifyProx, options)
    app.get('/', (request) => request.proxy?.url)`)
  writeFileSync(join(folder, 'use.mts'), `
    import Fastify from 'fastify'
    import prox, { fastifyProx, CertificateAuthority, type FastifyProxOptions } from 'fastify-prox'
    const app = Fastify()
    const options: FastifyProxOptions = { resolver: (url, context) => context.tunnel?.id ?? url }
    await app.register(prox, options)
    await app.register(fastifyProx)
    const ca: CertificateAuthority = await CertificateAuthority.load()
    app.proxyCA.leaf(ca.name)`)
  for (const file of ['use.cjs', 'use.mjs']) run('node', [file], folder)
  const strict = ['--strict', '--noEmit', '--skipLibCheck', 'false',
    '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
  run(resolve('node_modules/.bin/tsc'), [...strict, 'use.cts', 'use.mts'], folder)
} finally {
  rmSync(folder, { recursive: true })
}
