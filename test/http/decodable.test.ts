/** Percent-encoding that is no UTF-8. */
import t from 'tap'
import { withDecodablePath } from '../../plugin/http/decodable'

/** What comes before the query and the fragment. */
const pathOf = (target: string): string => target.replace(/[?#].*/, '')

const DECODABLE = [
  '/',
  '/a b',
  '/%20?%',
  '/%2F%25E9',
  '/%c3%a9',
  '/%E2%82%AC/%ef%bf%bd',
  '/%ED%9F%BF',
  '/%F0%9F%98%80',
  '/%F4%8F%BF%BF',
  '/a?%E9'
]

t.test('escapes what begins no UTF-8 character', async (t) => {
  const paths: Array<[path: string, escaped: string]> = [
    ['/caf%E9', '/caf%25E9'],
    ['/%B1%B1/x', '/%25B1%25B1/x'],
    ['/50%off', '/50%25off'],
    ['/%', '/%25'],
    ['/%4', '/%254'],
    ['/%zz?%zz', '/%25zz?%zz'],
    ['/%E9#%E9', '/%25E9#%E9'],
    ['/%C3/%A9', '/%25C3/%25A9'],
    ['/%C3%A9%E9', '/%C3%A9%25E9'],
    ['/%C0%AF', '/%25C0%25AF'],
    ['/%E0%80%AF', '/%25E0%2580%25AF'],
    ['/%ED%A0%80', '/%25ED%25A0%2580'],
    ['/%F5%80%80%80', '/%25F5%2580%2580%2580'],
    ['/%F0%9F%98', '/%25F0%259F%2598']
  ]
  for (const [path, escaped] of paths) {
    t.equal(withDecodablePath(path), escaped)
    const meant = pathOf(path).replaceAll('%C3%A9', 'é').replaceAll('%', '%25')
    t.equal(decodeURI(pathOf(escaped)), decodeURI(meant))
  }
})

t.test('leaves what can be decoded as it is', async (t) => {
  for (const path of DECODABLE) t.equal(withDecodablePath(path), path)
})

t.test('agrees with decodeURI on every pair and many sequences of bytes', async (t) => {
  const hex = (...bytes: number[]): string => {
    return '/' + bytes.map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  }
  const decodes = (path: string): boolean => {
    try {
      decodeURI(path)
      return true
    } catch {
      return false
    }
  }
  const wrong: string[] = []
  const check = (path: string): void => {
    const escaped = withDecodablePath(path)
    if (!decodes(escaped) || decodes(path) !== (escaped === path)) wrong.push(path)
  }
  for (let first = 0; first < 256; first++) {
    for (let second = 0; second < 256; second++) {
      check(hex(first, second))
      if (first < 0xe0) continue
      for (const rest of [[0x80], [0xbf, 0x80], [0x80, 0xc0]]) check(hex(first, second, ...rest))
    }
  }
  t.strictSame(wrong, [])
})
