/** Values in messages: short, and nothing that may be a secret. */
import { createPrivateKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as errors from '../plugin/errors'
import { kindOf, reasonOf, show } from '../plugin/errors'

const ROOT = join(__dirname, '..')

t.test('short texts, numbers and lists of them are shown', async (t) => {
  const shown: Array<[unknown, string]> = [
    ['prefix', "'prefix'"],
    ['a\nb', "'a\\nb'"],
    [5, '5'], [NaN, 'NaN'], [true, 'true'], [null, 'null'], [undefined, 'undefined'],
    [['.test', 1], "['.test', 1]"],
    [[1, 2, 3, 4], '[1, 2, 3, …]'],
    [[], '[]'],
    [[[1]], '[an array]']
  ]
  for (const [value, text] of shown) t.equal(show(value), text)
})

t.test('of any other value its kind is shown', async (t) => {
  const shown: Array<[unknown, string]> = [
    ['a text of more characters than a message has room for, with a dot.', 'a string'],
    [{ password: 'secret' }, 'an object'],
    [Object.create(null), 'an object'],
    [new Map([['password', 'secret']]), 'an object'],
    [Buffer.from('secret'), 'an object'],
    [new Error('secret'), 'an Error'],
    [createSecretKey(Buffer.from('secret')), 'an object'],
    [() => 'secret', 'a function'],
    [Symbol('secret'), 'a symbol'],
    [5n, 'a bigint']
  ]
  for (const [value, text] of shown) t.equal(show(value), text)
  t.equal(kindOf('secret'), 'a string')
  t.equal(kindOf(''), 'an empty string')
  t.equal(kindOf([]), 'an array')
})

t.test('a private key is not shown in any form', async (t) => {
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const key = createPrivateKey(pem)
  const { d = '' } = key.export({ format: 'jwk' })
  const forms = [
    String(pem), `see: ${String(pem)}`, String(pem).replace(/-----.*-----\n/g, ''), d,
    Buffer.from(d, 'base64url').toString('hex'), key.export({ type: 'pkcs8', format: 'der' }), key
  ]
  for (const form of forms) {
    for (const text of [show(form), show([form]), show({ form }), reasonOf(form)]) {
      t.match(text, /^(?:it failed with )?\[?(?:a PEM text|a string|an object)\]?$/)
    }
  }
})

t.test('whatever was thrown has a reason', async (t) => {
  t.equal(reasonOf(new Error('no')), 'no')
  t.equal(reasonOf(undefined), 'it failed with undefined')
  t.equal(reasonOf('no'), "it failed with 'no'")
})

t.test('the union of codes has the code of every error class, and docs/errors.md tells of each', async (t) => {
  const codes = Object.keys(errors).filter((name) => name.startsWith('FST_PROX_'))
  const union = readFileSync(join(ROOT, 'types/errors.ts'), 'utf8').matchAll(/'(FST_PROX_\w+)'/g)
  t.strictSame([...union].map(([, code]) => code).sort(), codes.sort())
  const docs = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')
  t.strictSame(codes.filter((code) => !docs.includes(`\`${code}\``)), [])
})
