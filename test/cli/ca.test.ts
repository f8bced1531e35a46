/** `fastify-prox ca create` beside another process. */
import { join } from 'node:path'
import t from 'tap'
import type * as ca from '../../cli/ca'
import * as storage from '../../plugin/ca/storage'

t.test('an authority that another process has made meanwhile is not taken for its own', async (t) => {
  const file = join(t.testdir(), 'ca.pem')
  class Taken extends storage.FileStore {
    override async add (): Promise<boolean> { return false }
  }
  const mocked = t.createMock(storage, { FileStore: Taken })
  const { caCommand } = t.mockRequire<typeof ca>('../../cli/ca', { '../../plugin/ca/storage': mocked })
  const nothing = () => t.fail('nothing is written')
  const command = caCommand({ stdout: { write: nothing }, stderr: { write: nothing } })
  await t.rejects(command.parseAsync(['create', '--file', file], { from: 'user' }), {
    message: `${file} is there already; --force replaces it`
  })
})
