/** What clients' texts were parsed to is remembered, and not without bounds. */
import t from 'tap'
import { remember } from '../../plugin/http/remember'

/** Remembers lengths, and counts what was parsed. */
function counting (): { parse: (text: string) => { length: number } | null, calls: string[] } {
  const calls: string[] = []
  const parse = remember((text) => {
    calls.push(text)
    return text.startsWith('bad') ? null : { length: text.length }
  })
  return { parse, calls }
}

t.test('a text is parsed once', async (t) => {
  const { parse, calls } = counting()
  const first = parse('example.com:443')
  t.strictSame(first, { length: 15 })
  t.equal(parse('example.com:443'), first)
  t.equal(calls.length, 1)
})

t.test('what is malformed is parsed each time', async (t) => {
  const { parse, calls } = counting()
  t.equal(parse('bad'), null)
  t.equal(parse('bad'), null)
  t.equal(calls.length, 2)
})

t.test('long texts are not remembered', async (t) => {
  const { parse, calls } = counting()
  const long = 'a'.repeat(301)
  t.strictSame([parse(long), parse(long)], [{ length: 301 }, { length: 301 }])
  t.equal(calls.length, 2)
})

t.test('more texts than a thousand are forgotten', async (t) => {
  const { parse, calls } = counting()
  for (let i = 0; i < 1_000; i++) parse(`host-${i}`)
  parse('host-0')
  t.equal(calls.length, 1_000)
  parse('one more')
  parse('host-0')
  t.equal(calls.length, 1_002)
})

t.test('a text that is not well-formed Unicode is no other text', async (t) => {
  const { parse, calls } = counting()
  parse('\ud800')
  t.strictSame(calls, ['\ufffd'])
  t.strictSame(parse('š'), { length: 1 })
  t.equal(calls[1], 'š')
})
