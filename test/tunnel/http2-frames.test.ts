/**
 * HTTP/2 frames made up by fast-check, right ones more often than not, by every way in: the process lives, good clients
 * are served, nothing stays.
 *
 * `FUZZ_RUNS` says how many cases there are of each kind (`npm run fuzz`: many). A failure prints the seed.
 */
import fc from 'fast-check'
import t from 'tap'
import {
  PREFACE, data, frame, goaway, headers, ping, priority, pushPromise, request, rstStream, settings, windowUpdate
} from '../support/http2-frames'
import { Attacked, WAYS } from './attacked'

const RUNS = Number(process.env.FUZZ_RUNS ?? 25)

/** Streams that a client opens, and now and then one that it must not. */
const stream = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(1, 3, 5) },
  { weight: 1, arbitrary: fc.constantFrom(0, 2, 2 ** 31 - 1) }
)
const code = fc.oneof(fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 2 ** 32 - 1 }))
const increment = fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.constant(2 ** 31 - 1))
const bytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const flags = fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.integer({ min: 0, max: 255 }))

const fields = fc.record({
  ':method': fc.constantFrom('GET', 'GET', 'POST', 'HEAD', 'CONNECT', 'OPTIONS', 'get'),
  ':path': fc.constantFrom('/', '/stream', '/resolved', '*', '', 'http://a.test/'),
  ':authority': fc.constantFrom('a.test', 'a.test', 'b.test:443', ''),
  ':scheme': fc.constantFrom('http', 'https'),
  expect: fc.constantFrom('100-continue', 'what'),
  'content-type': fc.constant('text/plain'),
  'content-length': fc.constantFrom('0', '4', '-1'),
  'x-long': fc.constantFrom('v', 'v'.repeat(20_000)),
  connection: fc.constant('close'),
  te: fc.constant('gzip')
}, { requiredKeys: [] })

const opening = fc.tuple(stream, fields, fc.boolean()).map(([stream, fields, endStream]) =>
  fields[':method'] === 'CONNECT'
    ? headers(stream, { ':method': 'CONNECT', ':authority': fields[':authority'] ?? 'b.test:443' }, { endStream })
    : headers(stream, request(fields), { endStream }))

const content = fc.tuple(stream, bytes, fc.constantFrom(0, 1))
  .map(([stream, bytes, flags]) => [data(stream, bytes, flags)])

const anyFrame: fc.Arbitrary<Buffer[]> = fc.oneof(
  { weight: 6, arbitrary: opening },
  { weight: 4, arbitrary: content },
  { weight: 4, arbitrary: fc.tuple(stream, code).map(([stream, code]) => [rstStream(stream, code)]) },
  { weight: 2, arbitrary: fc.tuple(stream, increment).map(([stream, increment]) => [windowUpdate(stream, increment)]) },
  { weight: 1, arbitrary: fc.tuple(stream, stream).map(([stream, other]) => [priority(stream, other)]) },
  { weight: 1, arbitrary: fc.tuple(stream, stream).map(([stream, other]) => [pushPromise(stream, other)]) },
  { weight: 1, arbitrary: fc.tuple(code, stream).map(([code, last]) => [goaway(code, last)]) },
  { weight: 1, arbitrary: fc.constantFrom(ping(), settings(), settings(undefined, 1)).map((frame) => [frame]) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 12 }), flags, stream, bytes)
      .map(([type, flags, stream, bytes]) => [frame(type, flags, stream, bytes)])
  }
)

const frames = fc.array(anyFrame, { minLength: 2, maxLength: 12 }).map((frames) => frames.flat())

/** Parts of all the bytes, from 0 to 1, at which they are split. */
const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 4 })
const split = fc.oneof(fc.constant('one'), fc.constant('frames'), places)

/** Puts frames into one piece, leaves them, or splits them anywhere. */
function divide (frames: Buffer[], split: string | number[]): Buffer[] {
  if (split === 'frames') return frames
  const bytes = Buffer.concat(frames)
  if (split === 'one') return [bytes]
  const parts = (split as number[]).map((part) => Math.floor(part * bytes.length))
  const ends = [...parts, bytes.length].sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
}

t.test('random frames by every way are survived, and leave nothing', async (t) => {
  const attacked = await Attacked.start(t)
  for (const way of WAYS) {
    await t.resolves(fc.assert(fc.asyncProperty(frames, split, fc.boolean(), async (frames, split, vanish) => {
      await attacked.attack(way, divide([PREFACE, settings(), ...frames], split), { vanish })
      await attacked.serves()
    }), { numRuns: RUNS, endOnFailure: true }), way)
    if (!attacked.alive) break
    await t.resolves(attacked.empty(), `${way}: nothing is left`)
  }
})
