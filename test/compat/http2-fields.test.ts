/** Fields of HTTP/2 as `request.headers` and `request.headersDistinct` have them over HTTP/1.1. */
import t from 'tap'
import { distinctFieldsOf, fieldsOf } from '../../plugin/compat/http2-fields'

const REPEATED: Record<string, [values: string[], joined: string | string[]]> = {
  accept: [['a', 'b', 'c'], 'a, b, c'],
  cookie: [['a=1', 'b=2'], 'a=1; b=2'],
  host: [['a.test', 'b.test'], 'a.test'],
  'set-cookie': [['a', 'b'], ['a', 'b']],
  'x-own': [['1', '2'], '1, 2']
}

for (const [name, [values, joined]] of Object.entries(REPEATED)) {
  t.test(`${name}, given ${values.length} times`, async (t) => {
    const rawFields = values.flatMap((value) => [name, value])
    t.strictSame(fieldsOf(rawFields)[name], joined)
    t.strictSame(distinctFieldsOf(rawFields)[name], values)
  })
}

t.test('fields have the methods of an object', async (t) => {
  // eslint-disable-next-line no-prototype-builtins -- it is what is tested
  t.notOk(fieldsOf(['a', 'b']).hasOwnProperty('c'))
  t.equal(fieldsOf(['constructor', 'b']).constructor, 'b')
})
