/** Pairs on real sockets: what `inject` cannot show, WebSockets above all. */
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import { Log } from '../support/log'
import { LOOPBACK, Proxy } from '../support/proxy'
import type { RawClient } from '../support/raw'
import { HOST, pair } from './pairs'
import type { Behaviour, Member } from './pairs'
import { HANDSHAKE_LINES } from '../support/websocket'

/** A close frame, masked and without a code (RFC 6455 5.5.1). */
const CLOSE_FRAME = Buffer.from([0x88, 0x80, 0, 0, 0, 0])

interface Way {
  readonly member: Member
  /** A connection on which `target(path)` is asked for. */
  readonly client: () => Promise<RawClient>
  readonly target: (path: string) => string
}

/** Both applications of a pair, listening, and the ways into them. */
async function ways (t: Test, behaviour: Behaviour): Promise<{ plain: Way, proxied: Record<string, Way> }> {
  const { plain, proxied } = await pair(t, behaviour)
  for (const { app } of [plain, proxied]) await app.listen({ port: 0, host: LOOPBACK })
  const direct = new Proxy(t, plain.app, new Log())
  const proxy = new Proxy(t, proxied.app, new Log())
  const path = (path: string): string => path
  return {
    plain: { member: plain, client: () => direct.client(), target: path },
    proxied: {
      'absolute-form': { member: proxied, client: () => proxy.client(), target: (path) => `http://${HOST}${path}` },
      'in a tunnel': { member: proxied, client: () => proxy.tunnel(`${HOST}:80`), target: path },
      'in a tunnel of TLS': { member: proxied, client: () => proxy.tls(`${HOST}:443`), target: path }
    }
  }
}

/** The outcome of a WebSocket: the response and, if it opened, the frames up to the end of the connection. */
async function websocketOutcome ({ client, target }: Way, path: string): Promise<unknown[]> {
  const socket = await client()
  socket.write(`GET ${target(path)} HTTP/1.1\r\nHost: ${HOST}\r\n${HANDSHAKE_LINES.join('\r\n')}\r\n\r\n`)
  const { status, body } = await socket.response('UPGRADE')
  if (status !== 101) return [status, body]
  socket.write(CLOSE_FRAME)
  return [status, body + await socket.closed()]
}

async function alike (t: Test, behaviour: Behaviour, ask: (way: Way) => Promise<unknown>): Promise<void> {
  const { plain, proxied } = await ways(t, behaviour)
  const expected = [await ask(plain), plain.member.noted()]
  for (const [name, way] of Object.entries(proxied)) {
    t.strictSame([await ask(way), way.member.noted()], expected, name)
    plain.member.noted()
  }
}

const registerWebsocket = (app: FastifyInstance): unknown => app.register(websocket)

const sockets: Behaviour['app'] = (app) => {
  app.get('/socket', { websocket: true }, (socket, request) => {
    socket.send(`${request.url} ${request.routeOptions.url} ${request.ws}`)
    socket.close(4001)
  })
  app.route({ method: 'GET', url: '/both', handler: async () => 'http', wsHandler: (socket) => { socket.close(4002) } })
  app.get('/http', async () => 'http')
  const refuse = async (_request: FastifyRequest, reply: FastifyReply): Promise<unknown> => reply.code(401).send('no')
  app.get('/guarded', { websocket: true, preValidation: refuse }, (socket) => { socket.close() })
}

for (const [name, handler] of Object.entries({ without: false, with: true })) {
  t.test(`WebSockets are answered alike, ${name} a not-found handler`, async (t) => {
    const behaviour: Behaviour = {
      root: registerWebsocket,
      app: (app, note) => {
        sockets(app, note)
        if (handler) app.setNotFoundHandler(async ({ url, ws }, reply) => reply.code(404).send(`none ${url} ${ws}`))
      }
    }
    for (const path of ['/socket?a', '/both', '/http', '/guarded', '/none', '/none/at/all?a=b']) {
      t.test(path, (t) => alike(t, behaviour, (way) => websocketOutcome(way, path)))
    }
  })
}

t.test('requests one after the other are answered alike, with bodies of both kinds', async (t) => {
  const behaviour: Behaviour = {
    app: (app, note) => {
      app.addHook('onResponse', async ({ url, method, is404 }, { statusCode }) => {
        note(method, url, is404, statusCode)
      })
      app.post('/a', async ({ body, headers }) => ({ body, host: headers.host }))
      app.setNotFoundHandler(async ({ url, body }, reply) => reply.code(404).send({ url, body }))
    }
  }
  await alike(t, behaviour, async ({ client, target }) => {
    const connection = await client()
    const answers: unknown[] = []
    for (const [method, path, headers, body] of [
      ['POST', '/a', { 'content-type': 'application/json' }, '{"a":1}'],
      ['POST', '/b', { 'content-type': 'application/xml' }, '<a/>'],
      ['POST', '/b', { 'content-type': 'text/plain' }, 'text'],
      ['LOCK', '/a', {}, ''],
      ['GET', '/a?b', {}, ''],
      ['POST', '/a', { 'content-type': 'application/json' }, '{"a":2}']
    ] as const) {
      const answer = await connection.ask(method, target(path), { host: HOST, ...headers }, body)
      answers.push([answer.status, answer.body, answer.headers.connection])
      if (answer.headers.connection === 'close') return answers
    }
    return answers
  })
})
