/** A CONNECT that is refused is an event. */
import { once } from 'node:events'
import http2 from 'node:http2'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { start } from '../support/proxy'
import { echo, PROX, recorded } from '../tunnel/support'
import type { TunnelRefused } from '../../types/events'

function refusing (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ originalUrl }, reply) => {
    if (originalUrl === 'hook.test:443') return await reply.code(451).send('no')
    if (originalUrl === 'plain.test:443') throw new Error('without a code')
  })
  echo(app)
}

for (const version of [1, 2]) {
  t.test(`HTTP/${version}: whoever refuses, and whatever is answered`, async (t) => {
    const refused = recorded<TunnelRefused>(t, 'tunnel:refused')
    const proxy = await start(t, {
      fastify: version === 2 ? { http2: true } : {},
      prox: { ...PROX, onConnect: ({ port }) => port === 443 ? undefined : 418 }
    }, refusing)
    const session = version === 2 ? http2.connect(`http://127.0.0.1:${proxy.port}`) : null
    t.teardown(() => session?.destroy())
    const ask = async (authority: string): Promise<unknown> => {
      if (session === null) return (await proxy.connect(authority)).response.status
      const [fields] = await once(session.request({ ':method': 'CONNECT', ':authority': authority }), 'response')
      return fields[':status']
    }
    const expected: Array<[string, number, string | null]> = [
      ['a.test:80', 418, 'FST_PROX_CONNECT_REFUSED'], ['hook.test:443', 451, null], ['plain.test:443', 500, null],
      ['a:0', 400, 'FST_PROX_BAD_AUTHORITY']
    ]
    for (const [authority, statusCode, code] of expected) {
      t.equal(await ask(authority), statusCode)
      const { id, ...message } = await refused.next()
      t.type(id, 'string')
      t.strictSame(message, { authority, remoteAddress: '127.0.0.1', statusCode, code })
    }
    t.equal(await ask('good.test:443'), 200)
    t.equal(refused.messages.length, expected.length)
  })
}
