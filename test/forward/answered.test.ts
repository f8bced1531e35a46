/** Routes that answer by themselves while the host is asked. */
import t from 'tap'
import { startForward, startRaw } from './support'

t.test('a route that has answered meanwhile has nothing of the host handed on', async (t) => {
  let early = (): void => {}
  const raw = await startRaw(t, (socket) => {
    early = () => socket.end('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n')
    asked()
  })
  let asked = (): void => {}
  const proxy = await startForward(t, {}, (app) => {
    app.all('/*', (_request, reply) => {
      asked = () => reply.code(503).send('too late')
      return reply.forward()
    })
    app.onExchange(() => ({ response: () => seen() }))
  })
  let seen = (): void => {}
  const recorded = new Promise<void>((resolve) => { seen = resolve })
  const client = await proxy.client()
  t.match(await client.ask('GET', `http://127.0.0.1:${raw.port}/`), { status: 503, interim: [], body: 'too late' })
  early()
  await recorded
  t.equal(client.take(), '')
})
