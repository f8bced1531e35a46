/** Options that are wrong stop the start with an error that says what is right. */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { CertificateAuthority } from '../../plugin/ca/authority'
import { readOptions } from '../../plugin/ca/options'
import type { CertificateAuthorityOptions } from '../../types/ca'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

const codeOf = ({ source }: RegExp) => source.includes(
  'There is no'
)
  ? 'FST_PROX_UNKNOWN_OPTION'
  : 'FST_PROX_INVALID_OPTION'

t.test('the defaults', async (t) => {
  const made = { name: 'fastify-prox https proxy CA', keyType: 'ec', constraints: { permitted: [], excluded: [] } }
  t.strictSame(readOptions({}), {
    origin: { file: './ca/fastify-prox-ca.pem' },
    make: made,
    leafKeyType: 'ec',
    wildcards: true,
    cacheSize: 1000,
    refresh: 60_000,
    tls: {}
  })
  t.strictSame(
    readOptions({ file: undefined, key: undefined, tls: undefined }), readOptions({}), 'undefined is as good as nothing'
  )
})

t.test('wrong values are refused, and the message says what is right', async (t) => {
  const wrong: Array<[Record<string, unknown>, RegExp]> = [
    [{ name: '' }, /^The option ca\.name takes a string of 1 to 64 characters, got ''$/],
    [{ name: 'x'.repeat(65) }, /ca\.name .* got a string$/],
    [{ name: 'a\nb' }, /ca\.name .* got 'a\\nb'/],
    [{ name: 1 }, /ca\.name .* got 1/],
    [{ file: '' }, /ca\.file takes a path/],
    [{ file: null }, /ca\.file .* got null/],
    [{ file: pem }, /ca\.file takes a path, got a PEM text$/],
    [{ store: {} }, /ca\.store takes an object with the methods get and add, or get and set, got an object$/],
    [{ store: { get () {} } }, /ca\.store/],
    [{ store: { add () {}, set () {} } }, /ca\.store/],
    [{ store: null }, /ca\.store/],
    [{ store: new Map(), file: 'x.pem' }, /ca\.file takes no value beside ca\.store, got 'x\.pem'/],
    [{ key: pem }, /ca\.cert takes a certificate as PEM or DER, along with ca\.key, got ca\.key alone/],
    [{ cert: 'x' }, /ca\.key takes a private key .* got ca\.cert alone/],
    [{ key: publicKey, cert: 'x' }, /ca\.key takes a private key as PEM, DER or KeyObject/],
    [{ key: 1, cert: 'x' }, /ca\.key/],
    [{ key: pem, cert: 1 }, /ca\.cert .* got 1/],
    [{ key: pem, cert: 'x', name: 'x' }, /ca\.name takes no value beside ca\.key and ca\.cert, got 'x'/],
    [{ key: pem, cert: 'x', store: new Map() }, /ca\.store takes no value beside/],
    [{ keyType: 'dsa' }, /ca\.keyType takes 'ec' or 'rsa', got 'dsa'/],
    [{ leafKeyType: 'dsa' }, /ca\.leafKeyType takes 'ec' or 'rsa', got 'dsa'/],
    [{ permit: '.test' }, /ca\.permit takes a list .* got '\.test'/],
    [{ permit: [] }, /ca\.permit .* got \[\]/],
    [{ permit: ['a b', 5, [1], 'x', 'y'] }, /ca\.permit .* got \['a b', 5, an array, …\]$/],
    [{ permit: [1] }, /ca\.permit/],
    [{ wildcards: 'no' }, /ca\.wildcards takes true or false, got 'no'/],
    [{ cacheSize: 0 }, /ca\.cacheSize takes a whole number from 1, got 0/],
    [{ cacheSize: 1.5 }, /ca\.cacheSize/],
    [{ tls: [] }, /ca\.tls takes options of tls\.createSecureContext other than key, cert, pfx/],
    [{ tls: { key: 'x' } }, /ca\.tls/],
    [{ tls: { ciphers: 'none-such' } }, /ca\.tls .* got some that it refuses: .*no.cipher/i],
    [{ wildcard: false }, /^There is no option "ca\.wildcard"\. Did you mean "ca\.wildcards"\?$/],
    [{ chmod: 1 }, /^There is no option "ca\.chmod"\. The options are name, file, store, key, /]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(
      CertificateAuthority.load(options as CertificateAuthorityOptions), { code: codeOf(message), message },
      message.source
    )
  }
  t.throws(
    () => readOptions(null as never),
    { code: 'FST_PROX_INVALID_OPTION', message: 'The option ca takes an object, got null' }
  )
})

t.test('a private key does not get into a message', async (t) => {
  const body = pem.split('\n')[1]!
  for (const options of [pem, { name: pem }, { keyType: pem }, { key: [pem], cert: 'x' }, { key: 1, cert: pem }, {
    tls: { key: pem }
  }, { pem }, { [pem]: 1 }, { file: pem },
  { store: { pem } }, { permit: [pem] }, { tls: { ciphers: pem } }, { name: body + body }, {
    key: Buffer.from(pem), cert: 'x', name: pem
  }]) {
    try {
      readOptions(options as CertificateAuthorityOptions)
      t.fail('it was accepted')
    } catch (error) {
      t.notMatch((error as Error).message, body)
      t.notMatch((error as Error).message, '-----BEGIN')
    }
  }
})
