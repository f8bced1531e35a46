import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { plain } from '../support/plain-child'
import { assertBuilt, environment, examplePath } from './example'

/** Runs Node in the directory of the example; a program that fails has a `code`. */
async function node (
  args: string[], env: Record<string, string> = {}
): Promise<{ stdout: string, stderr: string, code?: number }> {
  const [file, all] = plain(process.execPath, args)
  return await promisify(execFile)(file, all, { cwd: examplePath('mock-api'), env: environment(env) })
    .catch((err) => err)
}

t.test('the test of the example passes, and finds what is wrong', async (t) => {
  assertBuilt()
  const { stdout } = await node(['--test', '--test-reporter=tap', 'charge.test.mjs'])
  t.match(stdout, /# pass 2\n# fail 0\n/)
})

t.test('what has no mock goes nowhere', async (t) => {
  assertBuilt()
  const program = `
    import { startMocks } from './mocks.mjs'
    const { app } = await startMocks()
    const dispatcher = app.proxyDispatcher()
    for (const url of ['https://api.stripe.com/v1/refunds', 'http://example.com/']) {
      const response = await fetch(url, { dispatcher })
      const { error } = await response.json()
      console.log(response.status, error.message)
    }
    await app.close()`
  const { stdout } = await node(['--input-type=module', '-e', program])
  t.equal(stdout, '501 no mock for GET https://api.stripe.com/v1/refunds\n501 no mock for GET http://example.com/\n')
})

t.test('prints what its README says', async (t) => {
  assertBuilt()
  const command = join(examplePath('mock-api'), '../../dist/cli/fastify-prox.js')
  const run = async (env: Record<string, string>, ...program: string[]): Promise<object> => {
    return await node([command, 'run', 'mocks.mjs', '--', ...program], env)
  }
  const charge = [process.execPath, 'charge.mjs', '100', 'EUR']
  t.match(await run({ STRIPE_KEY: 'sk_test' }, ...charge), { stdout: 'Charged 125 usd: ch_1\n', stderr: '' })
  t.match(await run({}, ...charge), { code: 1, stdout: '', stderr: 'Not charged: Invalid API Key provided\n' })
  const ask = "require('node:https').get('https://example.com/', (response) => response.resume())"
  t.match(await run({}, process.execPath, '-e', ask), {
    stderr: 'Requests that had no route:\n  GET https://example.com/\n'
  })
})
