/** Values in messages: short, and nothing that may be a secret. */
import { createPrivateKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { reasonOf, show } from '../plugin/errors'

t.test('short texts, numbers and lists of them are shown', async (t) => {
  const shown: Array<[unknown, string]> = [
    ['prefix', "'prefix'"],
    ['a\nb', "'a\\nb'"],
    ['a path of more characters/than/are shown.pem', "'a path of more characters/than'... 14 more characters"],
    [5, '5'], [NaN, 'NaN'], [10n, '10n'], [true, 'true'], [null, 'null'], [undefined, 'undefined'],
    [['.test', 1], "['.test', 1]"],
    [[1, 2, 3, 4], '[1, 2, 3, …]'],
    [[[1]], '[a list]']
  ]
  for (const [value, text] of shown) t.equal(show(value), text)
})

t.test('of anything else its kind is shown', async (t) => {
  const shown: Array<[unknown, string]> = [
    [{ password: 'secret' }, 'an object'],
    [Object.create(null), 'an object'],
    [new Map([['password', 'secret']]), 'an object (Map)'],
    [Buffer.from('secret'), 'an object (Buffer)'],
    [new Error('secret'), 'an object (Error)'],
    [createSecretKey(Buffer.from('secret')), 'an object (SecretKeyObject)'],
    [() => 'secret', 'a function'],
    [class Secret {}, 'a function'],
    [Object.create({ constructor: null }), 'an object']
  ]
  for (const [value, text] of shown) t.equal(show(value), text)
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
      t.match(text, /^(?:it failed with )?\[?(?:a PEM text|a text of \d+ characters|an object.*)\]?$/)
    }
  }
})

t.test('the reason of whatever was thrown', async (t) => {
  t.equal(reasonOf(new Error('no')), 'no')
  t.equal(reasonOf(undefined), 'it failed with undefined')
  t.equal(reasonOf('no'), "it failed with 'no'")
})
