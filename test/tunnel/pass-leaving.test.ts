/** Clients that leave before their tunnel is passed through. */
import { once } from 'node:events'
import t from 'tap'
import fastifyProx from '../../plugin/index'
import { start } from '../support/proxy'
import { LOCAL, startHost } from './passing'
import { PROX } from './support'

t.test('nobody is dialled for a client that has left when the policy answers', async (t) => {
  const host = await startHost(t, () => t.fail('dialled'))
  let asked = (): void => {}
  const question = new Promise<void>((resolve) => { asked = resolve })
  let answer = (): void => {}
  const decided = new Promise<void>((resolve) => { answer = resolve })
  const proxy = await start(t, {
    prox: {
      ...PROX,
      onConnect: async () => {
        asked()
        await decided
        return fastifyProx.pass({ allow: LOCAL })
      }
    }
  })
  const gone = once(proxy.app.server, 'connection').then(async ([socket]) => {
    await new Promise((resolve) => socket.on('close', resolve))
  })
  const client = await proxy.client()
  client.write(`CONNECT 127.0.0.1:${host.port} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await question
  client.socket.resetAndDestroy()
  await gone
  answer()
  await proxy.log.next(/the client left before it was open/)
  t.equal(host.sockets.size, 0)
})
