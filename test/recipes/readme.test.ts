/** The four programs that the README begins with. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { runCode } from './recipe'

const README = readFileSync(join(__dirname, '../../README.md'), 'utf8')

/** The block of code that follows a word in bold. */
function picture (word: string): string {
  return README.split(`**${word}**`)[1]!.split('```js\n')[1]!.split('```')[0]!
}

/** What stands for a real site. */
async function site (t: Test): Promise<string> {
  const server = createServer((request, response) => { response.end(`real ${request.url}`) }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.before(() => process.chdir(t.testdir()))

t.test("the README's first example answers in place of a site", async (t) => {
  const { proxy } = await runCode(t, picture('Mock'))
  const { body } = await proxy.get('https://api.stripe.com/v1/balance')
  t.strictSame(JSON.parse(body), { available: [{ amount: 100, currency: 'eur' }] })
})

t.test("the README's second example records, and answers from the archive", async (t) => {
  const url = `${await site(t)}/a?b`
  t.teardown(() => { delete process.env.RECORD })
  process.env.RECORD = '1'
  const recording = await runCode(t, picture('Archive'))
  t.equal((await recording.proxy.get(url)).body, 'real /a?b')
  await recording.app.close()
  delete process.env.RECORD
  const { proxy } = await runCode(t, picture('Archive'))
  const { body, headers } = await proxy.get(url)
  t.equal(body, 'real /a?b')
  t.ok('memento-datetime' in headers, 'it comes out of the archive')
})

t.test("the README's third example keeps what was asked for", async (t) => {
  const url = `${await site(t)}/a?b`
  const { proxy } = await runCode(t, picture('Capture'))
  t.match(await proxy.get(url), { status: 200, body: 'real /a?b' })
  const { body } = await proxy.get('http://fastify-prox/captured')
  t.strictSame(JSON.parse(body), [{ method: 'GET', url, statusCode: 200 }])
})

t.test("the README's fourth example changes what a site answers", async (t) => {
  const url = `${await site(t)}/a?b`
  const { proxy } = await runCode(t, picture('Forward'))
  t.match(await proxy.get(url), { status: 200, body: 'real /a?b', headers: { 'x-seen': 'yes' } })
})
