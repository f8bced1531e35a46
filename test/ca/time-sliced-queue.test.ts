/** Crowds of jobs let the event loop have its turns. */
import t from 'tap'
import { Turns } from '../../plugin/ca/time-sliced-queue'

t.test('a turn ends after a millisecond of work', async t => {
  let now = 0
  t.intercept(performance, 'now', { value: () => now, configurable: true })
  const turns = new Turns()
  const order: Array<number | string> = []
  const jobs = Array.from({ length: 10 }, async (_, i) => await turns.run(() => {
    now += 0.75
    order.push(i)
    return i
  }))
  t.same(order, [], 'nothing runs at once')
  const watch = () => { order.push('turn'); if (order.length < 14) setImmediate(watch) }
  setImmediate(watch)
  t.same(await Promise.all(jobs), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.same(order.slice(0, 13), [0, 1, 'turn', 2, 3, 'turn', 4, 5, 'turn', 6, 7, 'turn', 8])
})

t.test('a job that throws does not stop the others', async t => {
  const turns = new Turns()
  const failing = turns.run(() => { throw new Error('no') })
  const next = turns.run(() => 'next')
  await t.rejects(failing, { message: 'no' })
  t.equal(await next, 'next')
  t.equal(await turns.run(() => 'later'), 'later', 'and it starts again')
})

t.test('a job may ask for another', async t => {
  const turns = new Turns()
  const inner = await turns.run(() => turns.run(() => 'inner'))
  t.equal(inner, 'inner')
})
