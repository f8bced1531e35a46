/** `fastify-prox ca rotate`: in a file, and in a store of the user's. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../cli/program'
import { CertificateAuthority } from '../../plugin/ca/authority'

async function command (...args: string[]): Promise<{ code: number, stdout: string, stderr: string }> {
  const written = { stdout: '', stderr: '' }
  const code = await run(args, {
    stdout: { write: (chunk) => { written.stdout += String(chunk) } },
    stderr: { write: (chunk) => { written.stderr += String(chunk) } }
  })
  return { code, ...written }
}

t.test('a file, step by step', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  const rotate = async (step: string, ...more: string[]) => await command('ca', 'rotate', step, '--file', file, ...more)
  t.match(await rotate('announce'), { code: 1, stderr: /cannot be rotated: there is none\n$/ })
  await command('ca', 'create', '--file', file)
  const { fingerprint256 } = await CertificateAuthority.load({ file })
  const announced = await rotate('announce', '--name', 'Next')
  t.match(announced, { code: 0, stderr: /does not sign yet.*fastify-prox ca rotate switch.* 60 seconds/ })
  t.match(announced.stdout, new RegExp(`^signs: .*, until .*, ${fingerprint256}\\nbesides: Next, until .*\\n$`))
  t.match(await command('ca', 'show', '--file', file), { code: 0, stdout: /\nbesides {4}Next, until / })
  const shown = await command('ca', 'show', '--json', '--file', file)
  t.match(JSON.parse(shown.stdout), { sha256: fingerprint256, others: [/^Next, until /] })
  const pem = (await command('ca', 'export', '--file', file)).stdout
  t.equal(pem.split('BEGIN CERTIFICATE').length, 3)
  t.match(await rotate('announce'), { code: 1, stderr: /there is a second one already/ })
  t.match(await rotate('switch'), { code: 0, stdout: /^signs: Next, .*\nbesides: / })
  t.match(await rotate('drop'), { code: 0, stdout: /^signs: Next, [^\n]*\n$/, stderr: /There is one again/ })
  t.match(await rotate('back'), { code: 2, stderr: /Allowed choices are announce, switch, drop/ })
  t.equal((await CertificateAuthority.load({ file })).name, 'Next')
  t.notMatch(announced.stdout + shown.stdout + pem, 'PRIVATE KEY')
})

/** A store in a file, which tells when it has been closed. */
const STORE = `
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
const file = new URL('kept.pem', import.meta.url)
export default {
  get: () => existsSync(file) ? readFileSync(file, 'utf8') : undefined,
  set: (key, pem) => writeFileSync(file, pem)
}
export const close = () => writeFileSync(new URL('closed', import.meta.url), '')
`

const EMPTY = 'export default new Map()'

t.test('a store', async (t) => {
  const directory = t.testdir({ 'store.mjs': STORE, 'none.mjs': 'export default 5', 'empty.mjs': EMPTY })
  const module = join(directory, 'store.mjs')
  const rotate = async (step: string) => await command('ca', 'rotate', step, '--store', module)
  t.match(await rotate('announce'), { code: 1, stderr: /in the store cannot be rotated: there is none/ })
  t.ok(existsSync(join(directory, 'closed')))
  const kept = new Map<string, string>()
  const { fingerprint256 } = await CertificateAuthority.load({ store: kept })
  const { default: store } = await import(module) as { default: { set: (key: string, pem: string) => void } }
  store.set('', [...kept.values()][0]!)
  t.match(await rotate('announce'), { code: 0, stdout: new RegExp(fingerprint256) })
  t.match(await rotate('switch'), { code: 0, stdout: new RegExp(`besides.*${fingerprint256}`) })
  t.match(await rotate('drop'), { code: 0 })
  t.equal(readFileSync(join(directory, 'kept.pem'), 'utf8').split('PRIVATE KEY').length, 3)
  const empty = await command('ca', 'rotate', 'drop', '--store', join(directory, 'empty.mjs'))
  t.match(empty, { code: 1, stderr: /there is none/ }, 'without close')
  t.match(await command('ca', 'rotate', 'drop', '--store', join(directory, 'none.mjs')), {
    code: 1, stderr: /has no store as its default export/
  })
})
