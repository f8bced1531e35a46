/**
 * HTTP/2 frames that take back, contradict or break what the frame before them has begun, by every way in and with
 * every split (of which `npm test` takes the first): the process lives, good clients are served, nothing stays.
 */
import t from 'tap'
import {
  data, END_STREAM, frame, goaway, headers, ping, PREFACE, priority, pushPromise, request, rstStream, settings, TYPE,
  windowUpdate
} from '../support/http2-frames'
import { Attacked, WAYS } from './attacked'
import type { Way } from './attacked'

const OPEN = { endStream: false }
const POST = { ':method': 'POST', 'content-type': 'text/plain' }

/** Fields that come to 20 kB. */
const LARGE = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, 'v'.repeat(1_000)]))

const UPLOAD = 'an upload that is read slowly'

const FIRST_FRAMES: Record<string, Buffer[]> = {
  'a GET': headers(1, request()),
  'a HEAD': headers(1, request({ ':method': 'HEAD' })),
  'a POST whose body goes on': [...headers(1, request(POST), OPEN), data(1, 'half')],
  'a CONNECT': headers(1, { ':method': 'CONNECT', ':authority': 'b.test:443' }, OPEN),
  'fields of 20 kB': headers(1, request(LARGE)),
  'Expect: 100-continue': headers(1, request({ ...POST, expect: '100-continue' }), OPEN),
  'a response that streams': headers(1, request({ ':path': '/stream' })),
  'a resolver that waits': headers(1, request({ ':path': '/resolved' })),
  [UPLOAD]: [
    ...headers(1, request(POST), OPEN), ...Array.from({ length: 12 }, () => data(1, Buffer.alloc(1_000)))
  ]
}

/** How long an upload stays, in milliseconds: twice `requestTimeout`, by which the server has ended it. */
const UPLOADED = 300

const KILLERS: Record<string, Buffer[]> = {
  'RST_STREAM, NO_ERROR': [rstStream(1, 0)],
  'RST_STREAM, CANCEL': [rstStream(1, 8)],
  'RST_STREAM, a code that nobody knows': [rstStream(1, 0xffff)],
  'RST_STREAM of an idle stream': [rstStream(9, 0)],
  'WINDOW_UPDATE of 0 for the stream': [windowUpdate(1, 0)],
  'WINDOW_UPDATE of 0 for the connection': [windowUpdate(0, 0)],
  'PUSH_PROMISE by a client': [pushPromise(1, 2)],
  'GOAWAY with an error': [goaway(2)],
  'HEADERS once more': headers(1, request()),
  'DATA behind END_STREAM': [data(1, '', END_STREAM), data(1, 'more')],
  'SETTINGS of a wrong size': [settings(Buffer.alloc(5))],
  'PING of a wrong size': [ping(Buffer.alloc(7))],
  'CONTINUATION without HEADERS': [frame(TYPE.CONTINUATION, 0, 1)],
  'a frame of an unknown type, and RST_STREAM': [frame(0xee, 0xff, 1, Buffer.from('what')), rstStream(1, 8)],
  'a stream that depends on itself': [priority(1, 1)],
  'a reset of the connection': []
}

/** A whole number below a limit, from a sequence that is the same each time. */
function numbers (seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor(state / 2 ** 32 * limit)
  }
}

const random = numbers(1)

const SPLITS: Record<string, (frames: Buffer[]) => Buffer[]> = {
  'in one write': (frames) => [Buffer.concat(frames)],
  'a frame at a time': (frames) => frames,
  'split anywhere': (frames) => {
    const bytes = Buffer.concat(frames)
    const at = [0, random(bytes.length), random(bytes.length), bytes.length].sort((a, b) => a - b)
    return at.slice(1).map((end, i) => bytes.subarray(at[i]!, end))
  }
}

async function attack (attacked: Attacked, way: Way, begun: Buffer[], stay: number): Promise<void> {
  // Takes one split each way in `npm test`, and wherever a connection needs two handshakes; `npm run fuzz` takes all.
  const one = way === 'TLS over HTTP/2' || process.env.FUZZ_RUNS === undefined
  const splits = Object.values(SPLITS).slice(0, one ? 1 : undefined)
  for (const divide of splits) {
    await Promise.all(Object.values(KILLERS).map(async (frames) => {
      const vanish = frames.length === 0
      await attacked.attack(way, divide([PREFACE, settings(), ...begun, ...frames]), { vanish, stay })
    }))
  }
  await attacked.serves()
}

t.test('every attack by every way is survived, and leaves nothing', async (t) => {
  let attacked = await Attacked.start(t)
  for (const way of WAYS) {
    for (const [first, begun] of Object.entries(FIRST_FRAMES)) {
      if (!attacked.alive) attacked = await Attacked.start(t)
      const stay = first === UPLOAD ? UPLOADED : 0
      await t.resolves(attack(attacked, way, begun, stay), `${way}: ${first}`)
    }
    if (attacked.alive) await t.resolves(attacked.empty(), `${way}: nothing is left`)
  }
})
