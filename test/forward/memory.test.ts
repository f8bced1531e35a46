/** What an exchange leaves: nothing that waits for a collection of V8's old space. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { plain } from '../support/plain-child'

const skip = Number.parseInt(process.versions.node) < 26 && "Node's own requests wait for such a collection before 26"

t.test('an exchange is garbage as soon as it has ended', { skip }, async (t) => {
  const [file, args] = plain(process.execPath, ['--expose-gc', join(__dirname, 'young-garbage.mjs')])
  const { objects, alive } = JSON.parse(execFileSync(file, args, { encoding: 'utf8', timeout: 30_000 }))
  t.equal(objects, 180)
  t.ok(alive < objects / 4, `${alive} of ${objects} are alive`)
})
