/** Field lists and targets as pure functions: what a table of inputs shows better than a message on the wire. */
import t from 'tap'
import { applyHeaders, group } from '../../forward/fields'
import { parseTarget } from '../../forward/target'

t.test('fields are set and removed, and those that were there keep their place', async (t) => {
  const fields = ['X-One', 'a', 'X-Two', 'b', 'x-one', 'c', 'X-Three', 'd']
  t.strictSame(applyHeaders(fields, { 'x-one': 'e', 'x-two': null, 'x-four': ['f', 'g'], 'x-five': undefined }), [
    'X-One', 'e', 'X-Three', 'd', 'x-four', 'f', 'x-four', 'g'
  ])
  t.strictSame(applyHeaders(fields, { 'x-three': ['1', '2'], 'x-none': null }), [
    'X-One', 'a', 'X-Two', 'b', 'x-one', 'c', 'X-Three', '1', 'X-Three', '2'
  ])
  t.throws(() => applyHeaders(fields, { 'x one': 'a' }), { code: 'ERR_INVALID_HTTP_TOKEN' })
  t.throws(() => applyHeaders(fields, { 'x-one': 'a\r\nb' }), { code: 'ERR_INVALID_CHAR' })
})

t.test('fields of one name are a list, in order', async (t) => {
  t.same(group(['A', '1', 'b', '2', 'a', '3', 'a', '4']), { a: ['1', '3', '4'], b: '2' })
})

t.test('a target is what the URL says, byte for byte behind the host', async (t) => {
  const cases: Record<string, [scheme: string, hostname: string, port: number, authority: string, path: string]> = {
    'http://a.test/x?y': ['http', 'a.test', 80, 'a.test', '/x?y'],
    'https://A.test': ['https', 'a.test', 443, 'a.test', '/'],
    'https://a.test?q': ['https', 'a.test', 443, 'a.test', '/?q'],
    'wss://a.test:8443/%E9/../b': ['https', 'a.test', 8443, 'a.test:8443', '/%E9/../b'],
    'ws://[2001:DB8::1]/|': ['http', '2001:db8::1', 80, '[2001:db8::1]', '/|']
  }
  for (const [url, [scheme, hostname, port, authority, path]] of Object.entries(cases)) {
    t.strictSame(parseTarget(url), { url, scheme, hostname, port, authority, path })
  }
  for (const url of ['a.test', 'ftp://a.test/', 'http:///', 'http://me@a.test/', 'http://a b/', 'http://a.test/ü\u0100',
    'http://a.test/a b', 'http://a.test:99999/']) {
    t.throws(() => parseTarget(url), { code: 'FST_PROX_INVALID_URL' }, url)
  }
})
