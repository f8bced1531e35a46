import { readFileSync } from 'node:fs'
import t from 'tap'
import { BEHAVIOURS } from './behaviours'
import { Scene } from './contenders'

t.test('does right what a forwarder can do wrong', async (t) => {
  const scene = await Scene.open()
  t.teardown(() => scene.close())
  const documented = readFileSync('docs/forward.md', 'utf8')
  for (const behaviour of BEHAVIOURS) {
    const { name, right, observe } = behaviour
    t.equal(observe(await scene.run('fastify-prox/forward', behaviour)), right, name)
    t.ok(documented.includes(`| ${name.replaceAll('\r\n', ', ')} |`), 'and the documentation says so')
  }
})
