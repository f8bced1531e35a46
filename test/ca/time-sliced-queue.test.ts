/** The queue gives the event loop back between slices, and keeps nothing of a job that has run. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { TimeSlicedQueue } from '../../plugin/ca/time-sliced-queue'

t.test('a slice ends after a millisecond of work', async (t) => {
  let now = 0
  t.intercept(performance, 'now', { value: () => now, configurable: true })
  const queue = new TimeSlicedQueue(10)
  const order: Array<number | string> = []
  const jobs = Array.from({ length: 10 }, async (_, i) => await queue.run(() => {
    now += 0.75
    order.push(i)
    return i
  }))
  t.same(order, [], 'nothing runs at once')
  const watch = () => { order.push('loop'); if (order.length < 14) setImmediate(watch) }
  setImmediate(watch)
  t.same(await Promise.all(jobs), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.same(order.slice(0, 13), [0, 1, 'loop', 2, 3, 'loop', 4, 5, 'loop', 6, 7, 'loop', 8])
})

t.test('a job that throws does not stop the others', async (t) => {
  const queue = new TimeSlicedQueue(10)
  const failing = queue.run(() => { throw new Error('no') })
  const next = queue.run(() => 'next')
  await t.rejects(failing, { message: 'no' })
  t.equal(await next, 'next')
  t.equal(await queue.run(() => 'later'), 'later', 'and it starts again')
})

t.test('a job may add another', async (t) => {
  const queue = new TimeSlicedQueue(10)
  const inner = await queue.run(() => queue.run(() => 'inner'))
  t.equal(inner, 'inner')
})

t.test('urgent jobs run before ordinary ones', async (t) => {
  const queue = new TimeSlicedQueue(10)
  const order: string[] = []
  await Promise.all([
    queue.run(() => order.push('ordinary 1')),
    queue.run(() => order.push('ordinary 2')),
    queue.run(() => order.push('urgent 1'), true),
    queue.run(() => order.push('urgent 2'), true)
  ])
  t.same(order, ['urgent 1', 'urgent 2', 'ordinary 1', 'ordinary 2'])
})

t.test('above the limit a job is refused at once, and urgent ones are counted apart', async (t) => {
  const queue = new TimeSlicedQueue(2)
  const jobs = [queue.run(() => 1), queue.run(() => 2)]
  t.throws(() => queue.run(() => 3), {
    code: 'FST_PROX_CA_BUSY', statusCode: 503, message: 'Too many hosts wait for a certificate: the limit is 2'
  })
  jobs.push(queue.run(() => 4, true), queue.run(() => 5, true))
  t.throws(() => queue.run(() => 6, true), { code: 'FST_PROX_CA_BUSY' })
  t.same(await Promise.all(jobs), [1, 2, 4, 5])
  t.equal(await queue.run(() => 7), 7, 'there is room again')
})

t.test('a job that has run is not kept while others wait', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let now = 0
  t.intercept(performance, 'now', { value: () => now, configurable: true })
  const queue = new TimeSlicedQueue(1000)
  const results: Array<WeakRef<object>> = []
  const add = () => {
    queue.run(() => {
      now += 1
      const result = { size: 1 }
      results.push(new WeakRef(result))
      return result
    }).catch(t.fail)
  }
  for (let i = 0; i < 100; i++) add()
  let waiting = 100
  while (waiting > 10) {
    await new Promise(setImmediate)
    waiting = 100 - results.length
  }
  // A WeakRef keeps its target until the current job of the event loop ends.
  await new Promise(setImmediate)
  collect()
  const alive = results.filter((result) => result.deref() !== undefined).length
  t.ok(alive <= 2, `${alive} of ${results.length} results are alive while ${waiting} jobs wait`)
  await queue.run(() => {})
})
