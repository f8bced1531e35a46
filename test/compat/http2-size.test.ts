/** What header sections take, compared with what Node sends. */
import { once } from 'node:events'
import t from 'tap'
import { canBeSent, encodedLength } from '../../plugin/compat/http2-size'
import { END_HEADERS, END_STREAM, frame, OPENING, TYPE } from '../support/http2-frames'
import { listen, REQUEST } from './http2-support'

t.test('every character counts as long as it is in the code of HPACK', async (t) => {
  const characters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))
  const server = await listen(t, () => {}, {
    accepted: ({ response }) => {
      response.sendDate = false
      response.writeHead(200, { 'x-a': current.repeat(800) }).end()
    }
  })
  let current = ''
  const raw = await server.raw()
  raw.write(OPENING)
  let bytes = Buffer.alloc(0)
  raw.on('data', (chunk) => { bytes = Buffer.concat([bytes, chunk]) })
  /** The length of the next header section. */
  const next = async (): Promise<number> => {
    for (;;) {
      const length = bytes.length >= 9 ? bytes.readUIntBE(0, 3) : Infinity
      if (bytes.length >= 9 + length) {
        const type = bytes[3]
        bytes = bytes.subarray(9 + length)
        if (type === TYPE.HEADERS) return length
      } else {
        await once(raw, 'data')
      }
    }
  }
  const wrong: string[] = []
  // The first one leaves its name in the table, of which later ones take an octet or two.
  let stream = 1
  for (const character of ['first', ...characters]) {
    current = character
    raw.write(frame(TYPE.HEADERS, END_STREAM | END_HEADERS, stream, REQUEST))
    const length = await next()
    // `:status`, the name or its index, and two or three octets of length; a bit more or less would make it 100.
    const overhead = length - encodedLength(character.repeat(800))
    if (stream > 1 && (overhead < 2 || overhead > 10)) wrong.push(`${character}: ${overhead}`)
    stream += 2
  }
  t.strictSame(wrong, [])
})

t.test('a header section can be sent up to the limit of the library', (t) => {
  t.equal(canBeSent({}, 0), true)
  t.equal(canBeSent({ a: 'b' }), true)
  t.equal(canBeSent({ a: '~'.repeat(70_000) }), false)
  t.equal(canBeSent({ a: ['~'.repeat(60_000), '~'.repeat(60_000), '~'.repeat(60_000)], ':status': 200 }), false)
  t.end()
})
