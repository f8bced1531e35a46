/** `fastify.answerExchange`: those who replay answer in place of hosts. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import websocket from '@fastify/websocket'
import { HttpsProxyAgent } from 'https-proxy-agent'
import t from 'tap'
import { WebSocket } from 'ws'
import type forward from '../../forward/index'
import { ask, h2 } from '../tunnel/support'
import { startForward, startSite } from './support'

t.test('answers in place of the host, by way of the route, and is not recorded', async (t) => {
  const site = await startSite(t, (_request, response) => response.end('site'))
  const proxy = await startForward(t, {}, (app) => {
    const onResponse = ({ headers }: forward.ForwardResponse): void => { headers['x-seen'] = '1' }
    app.all('/*', (_request, reply) => reply.forward({ headers: { 'x-added': '1' }, onResponse }))
  })
  const calls: forward.ExchangeCall[] = []
  const recorded: string[] = []
  proxy.app.onExchange(({ url }) => { recorded.push(new URL(url).pathname) })
  proxy.app.answerExchange((call) => {
    calls.push(call)
    return undefined
  })
  const rawHeaders = ['X-A', '1', 'X-A', '2', 'Connection', 'close']
  proxy.app.answerExchange(({ url }) => url.endsWith('/here')
    ? { statusCode: 202, statusMessage: 'Fine', rawHeaders, body: Buffer.from('instead') }
    : null)
  proxy.app.answerExchange(async ({ url }) => url.endsWith('/stream')
    ? { statusCode: 200, rawHeaders: [], body: Readable.from([Buffer.from('parts')]) }
    : null)
  proxy.app.answerExchange(({ url }) => url.endsWith('/empty') ? { statusCode: 204, rawHeaders: [] } : null)
  proxy.app.answerExchange(({ url }) => {
    if (url.endsWith('/fails')) throw Object.assign(new Error('not there'), { statusCode: 501 })
    return null
  })
  const ask = async (path: string) => await proxy.get(`http://127.0.0.1:${site.port}${path}`, { te: 'x' })
  const here = await ask('/here')
  t.match(here, { status: 202, body: 'instead', headers: { 'x-a': '1, 2', 'x-seen': '1' } })
  t.match(here.headers.via, /^1\.1 fastify-prox/)
  t.match(await ask('/stream'), { status: 200, body: 'parts' })
  t.match(await ask('/empty'), { status: 204, body: '' })
  t.match(await ask('/fails'), { status: 501, body: /not there/ })
  t.match(await ask('/site'), { status: 200, body: 'site' })
  t.strictSame(recorded, ['/site'])
  t.match(calls[0], { method: 'GET', webSocket: false, url: `http://127.0.0.1:${site.port}/here` })
  t.strictSame(calls[0]!.rawHeaders.slice(0, 4), ['Host', `127.0.0.1:${site.port}`, 'x-added', '1'])
  t.equal(String(await calls[0]!.readBody(0)), '')
})

t.test('content that has been read is forwarded all the same', async (t) => {
  const site = await startSite(t, (request, response) => {
    request.pipe(response.setHeader('x-length', String(request.headers['content-length'])))
  })
  const proxy = await startForward(t)
  const bodies: string[] = []
  proxy.app.answerExchange(async ({ readBody, method }) => {
    if (method === 'POST') bodies.push(String(await readBody(5)), String(await readBody(5)))
    return null
  })
  const url = `http://127.0.0.1:${site.port}/`
  t.match(await proxy.ask('POST', url, {}, 'hello'), { status: 200, body: 'hello', headers: { 'x-length': '5' } })
  t.match(await proxy.ask('POST', url, { 'content-length': '0' }), { status: 200, body: '' })
  t.match(await proxy.ask('POST', url, {}, 'hello!'), { status: 413, body: /FST_PROX_CONTENT_TOO_LARGE/ })
  t.match(await proxy.ask('PUT', url, {}, 'unread'), { status: 200, body: 'unread' })
  t.strictSame(bodies, ['hello', 'hello', '', ''])
})

t.test('a client that leaves meanwhile is answered by nobody', async (t) => {
  const site = await startSite(t, (_request, response) => response.end())
  const proxy = await startForward(t)
  for (const outcome of ['answers', 'fails', 'leaves it to the host']) {
    let asked: () => void
    const question = new Promise<void>((resolve) => { asked = resolve })
    let finish: () => void
    const finished = new Promise<void>((resolve) => { finish = resolve })
    let gone: Promise<unknown>
    proxy.app.answerExchange(async ({ request }) => {
      if (!request.url.includes(encodeURIComponent(outcome))) return null
      gone = once(request.raw.socket, 'close')
      asked()
      await gone
      setImmediate(finish)
      if (outcome === 'fails') throw new Error('late')
      return outcome === 'answers' ? { statusCode: 200, rawHeaders: [] } : null
    })
    const client = await proxy.client()
    client.write(`GET http://127.0.0.1:${site.port}/${encodeURIComponent(outcome)} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await question
    client.socket.destroy()
    await finished
  }
  t.equal(site.seen.length, 0)
})

t.test('WebSockets: accepts in place of the host, or refuses', async (t) => {
  const proxy = await startForward(t, {}, async (app) => {
    await app.register(websocket)
    app.get('/*', { websocket: true, config: { forward: true } }, (socket, request) => request.forwardSocket(socket))
  })
  proxy.app.answerExchange(async ({ url, webSocket, method, readBody, request }) => {
    t.strictSame([webSocket, method, (await readBody(0)).length], [true, 'GET', 0])
    if (url.endsWith('/leaves')) request.raw.socket.destroy()
    return url.endsWith('/refused')
      ? { statusCode: 403, rawHeaders: ['X-A', '1'], body: Buffer.from('no') }
      : { protocol: 'two', socket: (socket) => socket.send('hello') }
  })
  const dial = (path: string): WebSocket => {
    const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`)
    const socket = new WebSocket(`ws://a.test${path}`, ['one', 'two'], { agent })
    socket.on('error', () => {})
    t.teardown(() => socket.terminate())
    return socket
  }
  let client = dial('/accepted')
  t.strictSame((await once(client, 'message')).map(String), ['hello', 'false'])
  t.equal(client.protocol, 'two')
  client = dial('/refused')
  const [, response] = await once(client, 'unexpected-response')
  t.match(response, { statusCode: 403, headers: { 'x-a': '1' } })
  t.equal((await response.toArray()).join(''), 'no')
  client = dial('/leaves')
  await new Promise((resolve) => client.once('close', resolve))
})

t.test('content that is too large to be read whole is answered 413, over HTTP/2 as well', async (t) => {
  const proxy = await startForward(t)
  proxy.app.answerExchange(async ({ readBody }) => ({ statusCode: 200, rawHeaders: [], body: await readBody(5) }))
  const session = await h2(t, proxy, 'a.test:443')
  const { status, body } = await ask(session, { ':method': 'POST', ':path': '/' }, 'x'.repeat(1_000_000))
  t.match({ status, body }, { status: 413, body: /FST_PROX_CONTENT_TOO_LARGE/ })
})
