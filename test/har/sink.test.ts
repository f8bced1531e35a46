/** What the sink of an exchange tells of a body that cannot be kept. */
import t from 'tap'
import { HarSink } from '../../har/sink'
import type { HarEntry } from '../../types/har'
import { Log } from '../support/log'

t.test('a body whose file fails while the exchange ends is told of once', async (t) => {
  const log = new Log()
  const finished: Array<HarEntry | null> = []
  const request = { log: log.logger } as never
  const exchange = { id: '1', request, url: 'http://a.test/', method: 'POST', startedAt: 0, webSocket: false }
  // The file of the request fails later than that of the response.
  let release = (): void => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  let files = 0
  const create = async (): Promise<never> => {
    if (files++ === 0) await held
    throw new Error('no space left')
  }
  const options = { files: { create }, redactor: {}, inlineLimit: 10 } as never
  const sink = new HarSink(exchange, options, (entry) => finished.push(entry))
  const writing = [sink.requestData(Buffer.alloc(20)), sink.responseData(Buffer.alloc(20))]
  sink.end({ error: null, timings: { connected: 0, requestSent: 0, responseHead: 0, end: 1 } })
  await writing[1]
  await new Promise((resolve) => setImmediate(resolve))
  release()
  await writing[0]
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(finished, [null])
  t.equal(log.count(/could not be recorded/), 1)
})
