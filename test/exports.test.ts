/** What the package exports: the plugin, what else there is as its properties, and every public type. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import fastifyProx, {
  CertificateAuthority, fastifyProx as named, fixedResolver, pass, proxyAuthResolver
} from '../plugin/index'

const ROOT = join(__dirname, '..')
const index = readFileSync(join(ROOT, 'plugin/index.ts'), 'utf8')

function found (text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, name]) => name!)
}

t.test('require gives the plugin, with everything else as its properties', async (t) => {
  t.equal(named, fastifyProx)
  t.equal((fastifyProx as unknown as { default: unknown }).default, fastifyProx)
  t.equal(fastifyProx.CertificateAuthority, CertificateAuthority)
  t.equal(fastifyProx.fixedResolver, fixedResolver)
  t.equal(fastifyProx.proxyAuthResolver, proxyAuthResolver)
  t.equal(fastifyProx.pass, pass)
  const meta = Object.getOwnPropertyDescriptor(fastifyProx, Symbol.for('plugin-meta'))!.value
  t.match(meta, { name: 'fastify-prox', fastify: '5.x' })
  t.equal(Object.getOwnPropertyDescriptor(fastifyProx, Symbol.for('skip-override'))!.value, true)
})

t.test('Node can read the name of every property off the text, for import', async (t) => {
  const properties = Object.keys(fastifyProx).filter((name) => name !== 'default')
  t.strictSame(found(index, /exports\.(\w+) =/g).sort(), properties.sort())
})

t.test('every type of types/ has its name in the package', async (t) => {
  // Those of entry points of their own are exported there.
  const files = readdirSync(join(ROOT, 'types')).filter((name) => /^(?!forward|har|warc)\w+\.ts$/.test(name))
  const types = files.flatMap((name) => {
    return found(readFileSync(join(ROOT, 'types', name), 'utf8'), /^export (?:interface|type) (\w+)/gm)
  })
  t.ok(types.includes('FastifyProxOptions'))
  t.strictSame(found(index, /^ {2}export type (\w+)(?:<.+>)? = types\.\1\b/gm).sort(), types.sort())
})

t.test('the README names every type', async (t) => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const others = ['forward', 'har', 'warc'].map((folder) => readFileSync(join(ROOT, folder, 'index.ts'), 'utf8'))
  const names = [index, ...others].flatMap((text) => found(text, /^ {2}export type (\w+) = \w+\.\1$/gm))
  t.ok(names.length > 50)
  t.strictSame(names.filter((name) => !readme.includes(`\`${name}\``)), [])
})
