/** A limit of @fastify/rate-limit counts what the plugin refuses, too. */
import rateLimit from '@fastify/rate-limit'
import Fastify from 'fastify'
import t from 'tap'
import fastifyProx from '../../plugin/index'

t.test('wrong passwords are limited', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(rateLimit, { max: 5 })
  await app.register(fastifyProx, {
    ca: { store: new Map() },
    resolver: fastifyProx.proxyAuthResolver({ validate: () => false })
  })
  const statuses = []
  for (let i = 0; i < 7; i++) {
    const headers = { 'proxy-authorization': `Basic ${btoa(`ann:guess ${i}`)}` }
    statuses.push((await app.injectProxy({ url: 'http://a.test/', headers })).statusCode)
  }
  t.strictSame(statuses, [407, 407, 407, 407, 407, 429, 429])
})
