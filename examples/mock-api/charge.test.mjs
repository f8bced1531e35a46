/**
 * Tests a program from the outside: its traffic comes to the mocks because of its environment.
 * `node --test charge.test.mjs`
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startMocks } from './mocks.mjs'

const program = fileURLToPath(new URL('charge.mjs', import.meta.url))

async function charge (t, key) {
  const { app, charges } = await startMocks()
  t.after(() => app.close())
  const env = { ...process.env, STRIPE_KEY: key, ...app.proxyEnv() }
  const result = await promisify(execFile)(process.execPath, [program, '100', 'EUR'], { env }).catch((err) => err)
  return { ...result, charges }
}

test('charges what the rate makes of the amount', async (t) => {
  const { stdout, charges } = await charge(t, 'sk_test')
  assert.equal(stdout, 'Charged 125 usd: ch_1\n')
  assert.deepEqual(charges, [{ amount: '12500', currency: 'usd', source: 'tok_visa' }])
})

test('fails when the key is refused', async (t) => {
  const { code, stderr, charges } = await charge(t, 'sk_wrong')
  assert.equal(code, 1)
  assert.match(stderr, /Not charged: Invalid API Key/)
  assert.deepEqual(charges, [])
})
