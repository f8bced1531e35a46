/** The files of a command: all of them, or none. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type * as cliFiles from '../../cli/files'
import * as files from '../../plugin/ca/files'

t.test('a name that is taken while the files are written: those before it are removed again', async (t) => {
  const directory = t.testdir()
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
  // Another process makes the second file after this one has looked for it.
  const mocked = t.createMock(files, {
    async writeAside (...args: Parameters<typeof files.writeAside>) {
      const written = await files.writeAside(...args)
      return args[0] === cert ? { ...written, add: async () => false } : written
    }
  })
  const { writeResults } = t.mockRequire<typeof cliFiles>('../../cli/files', { '../../plugin/ca/files': mocked })
  const results = [{ file: key, content: 'key', mode: 0o600 }, { file: cert, content: 'cert', mode: 0o644 }]
  await t.rejects(writeResults(results, false, []), { message: `${cert} is there already; --force replaces it` })
  t.same(readdirSync(directory), [])
  await writeResults(results, true, [])
  t.same([key, cert].map((file) => readFileSync(file, 'utf8')), ['key', 'cert'])
  t.same(readdirSync(directory).sort(), ['cert', 'key'])
})
